"""Bytes that lie elsewhere, fetched before they are asked for: a few blocks of a stream at a time.

A run of bytes is one request, however long it is; the next run is asked for while the one before
it still arrives. What is under way is bounded, and with it the memory of a stream of any length.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Event
from typing import Protocol, runtime_checkable

from boomerang.assembly.pieces import Cast, Literal, Piece, Range, conversion

BLOCK = 1 << 19
"""Bytes of a block. Of the sizes from 256 KiB to 4 MiB, at the same bytes under way, this took the
least processor time: larger ones leave the processor's cache between arriving and being taken."""
DEPTH = 32
"""Blocks that are under way or wait to be taken."""
RUNS = 4
"""Runs that are under way at the same time. One request for each block, four at a time, took half
again as much processor time and was no faster, also where every answer came 50 ms late."""

Sleep = Callable[[float], object]
Bytes = Generator[bytes, None, None]
Data = bytes | memoryview
"""Bytes as they came; what lies within a larger piece of memory is not copied out of it."""


@runtime_checkable
class Streams(Protocol):
    """A `Source` (checkpoint/sources.py) elsewhere: it is read as a stream that may be left."""

    def stream(self, start: int, stop: int, *, sleep: Sleep = time.sleep) -> Bytes:
        """Yield exactly the bytes [start, stop), or raise; `sleep` passes the time of a retry."""


class Abandoned(Exception):
    """Nobody wants the bytes any more."""


@dataclass(frozen=True, slots=True)
class Promised:
    """A piece (pieces.py) whose bytes are on their way."""

    size: int
    future: Future[Data]

    def read(self, start: int, stop: int) -> Data:
        """The bytes [start, stop), as soon as they are there. Raises what fetching them raised."""
        data = self.future.result()
        return data if (start, stop) == (0, len(data)) else data[start:stop]


Part = tuple[Piece, int, int]
Ahead = tuple[Piece | Promised, int, int]
"""A piece, and the bytes [start, stop) of it that are meant."""


def read_ahead(parts: Iterable[Part]) -> Generator[Ahead, None, None]:
    """The same bytes in the same order; what lies elsewhere comes as blocks already under way.

    Taking the next part never waits: reading a promised one does. To be closed when the stream is
    left early; nothing more is fetched then, and its threads end by themselves.
    """
    fetching: _Fetching | None = None
    waiting: deque[Ahead] = deque()
    promised = 0
    try:
        for piece, start, stop in parts:
            if isinstance(piece, Literal) or not isinstance(piece.source, Streams):
                waiting.append((piece, start, stop))
                if not promised:
                    yield waiting.popleft()
                continue
            fetching = fetching or _Fetching()
            for block in fetching.blocks(piece, piece.source, start, stop):
                waiting.append((block, 0, block.size))
                promised += 1
                while promised >= DEPTH:
                    promised -= isinstance(waiting[0][0], Promised)
                    yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        if fetching is not None:
            fetching.leave()


Order = SimpleQueue["Future[Data] | None"]
Block = tuple[int, int, int]
"""Bytes of the source, and which [start, stop) is meant of what they become."""


@dataclass(slots=True)
class _Fetching:
    """The threads of one stream. A run's thread fetches no block before it was promised."""

    gone: Event = field(default_factory=Event)
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(RUNS, thread_name_prefix="read-ahead")
    )
    order: Order = field(default_factory=SimpleQueue)

    def blocks(
        self, piece: Range | Cast, source: Streams, start: int, stop: int
    ) -> Iterator[Promised]:
        """Promise the bytes [start, stop) of a piece, a block whenever the next is taken."""
        cast, wide, narrow = conversion(piece)
        first, end = start // narrow, -(-stop // narrow)
        blocks: list[Block] = []
        for at in range(first * narrow, end * narrow, BLOCK):
            till = min(at + BLOCK, end * narrow)
            taken = (till - at) // narrow * wide
            blocks.append((taken, max(start - at, 0), min(till, stop) - at))
        chunks = source.stream(
            piece.start + first * wide, piece.start + end * wide, sleep=self.gone.wait
        )
        self.order = SimpleQueue()
        self.pool.submit(_run, chunks, blocks, cast, self.order, self.gone)
        for _, low, high in blocks:
            future: Future[Data] = Future()
            self.order.put(future)
            yield Promised(high - low, future)

    def leave(self) -> None:
        """End every thread as soon as it notices, and wait for none: an event loop may call."""
        self.gone.set()
        self.order.put(None)
        self.pool.shutdown(wait=False, cancel_futures=True)


def _run(
    chunks: Bytes, blocks: list[Block], cast: Callable[[Data], bytes] | None, order: Order,
    gone: Event,
) -> None:  # fmt: skip
    """Keep the promises of one run, in their order, from one stream of its bytes."""
    rest: Data = b""
    with closing(chunks):
        for taken, low, high in blocks:
            future = order.get()
            if future is None or gone.is_set():
                return
            try:
                data, rest = _taken(chunks, rest, taken, gone)
                data = data if cast is None else cast(data)
                future.set_result(data if (low, high) == (0, len(data)) else data[low:high])
            except BaseException as error:
                future.set_exception(error)
                return


def _taken(chunks: Bytes, rest: Data, size: int, gone: Event) -> tuple[Data, memoryview]:
    rest = memoryview(rest)
    if len(rest) >= size:
        return rest[:size], rest[size:]
    found, length = memoryview(bytearray(size)), 0
    while True:
        part = rest[: size - length]
        found[length : length + len(part)] = part
        length, rest = length + len(part), rest[len(part) :]
        if length == size:
            return found, rest
        rest = memoryview(next(chunks))
        if gone.is_set():
            raise Abandoned
