"""Bytes that lie elsewhere, fetched before they are asked for: a few blocks of a stream at a time.

A run of bytes is one request, however long it is; the next run is asked for while the one before
it still arrives. What is under way is bounded, and with it the memory of a stream of any length.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event
from typing import Protocol, runtime_checkable

from boomerang.checkpoint import Source
from boomerang.pieces import Cast, Literal, Piece, Range

FIRST_BLOCK = 1 << 20
"""Bytes of a stream's first block: what the first byte has to wait for."""
BLOCK = 4 << 20
"""Bytes of each further block."""
DEPTH = 4
"""Blocks that are under way or wait to be taken. Requests for 4 blocks at a time, each of its
own, took half again as much processor time as one request for the run, and were no faster."""

Sleep = Callable[[float], object]
Bytes = Generator[bytes, None, None]


@runtime_checkable
class Streams(Protocol):
    """A `Source` (checkpoint.py) elsewhere: it is read as a stream that may be left."""

    def stream(self, start: int, stop: int, *, sleep: Sleep = time.sleep) -> Bytes:
        """Yield exactly the bytes [start, stop), or raise; `sleep` passes the time of a retry."""


class Abandoned(Exception):
    """Nobody wants the bytes any more."""


@dataclass(frozen=True, slots=True)
class Promised:
    """A piece (pieces.py) whose bytes are on their way."""

    size: int
    future: Future[bytes]

    def read(self, start: int, stop: int) -> bytes:
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
        for part in parts:
            source = None if isinstance(part[0], Literal) else part[0].source
            if not isinstance(source, Streams):
                waiting.append(part)
                if not promised:
                    yield waiting.popleft()
                continue
            fetching = fetching or _Fetching()
            for block in fetching.blocks(part, source):
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


@dataclass(slots=True)
class _Fetching:
    """The threads of one stream. A run's thread fetches no block before it was promised."""

    gone: Event = field(default_factory=Event)
    pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(DEPTH, thread_name_prefix="read-ahead")
    )
    order: SimpleQueue[Future[bytes] | None] = field(default_factory=SimpleQueue)
    length: int = FIRST_BLOCK

    def blocks(self, part: Part, source: Streams) -> Iterator[Promised]:
        """Promise the bytes of a part, a block whenever the next is taken from here."""
        piece, start, stop = part
        if isinstance(piece, Range):
            self.order = SimpleQueue()
            chunks = source.stream(piece.start + start, piece.start + stop, sleep=self.gone.wait)
            sizes = _sizes(stop - start, self.length)
            self.pool.submit(_run, chunks, sizes, self.order, self.gone)
        for size in _sizes(stop - start, self.length):
            self.length = BLOCK
            if isinstance(piece, Range):
                future: Future[bytes] = Future()
                self.order.put(future)
            elif isinstance(piece, Cast):
                far = replace(piece, source=_Leaving(piece.source, source, self.gone))
                future = self.pool.submit(far.read, start, start + size)
            yield Promised(size, future)
            start += size

    def leave(self) -> None:
        """End every thread as soon as it notices, and wait for none: an event loop may call."""
        self.gone.set()
        self.order.put(None)
        self.pool.shutdown(wait=False, cancel_futures=True)


def _sizes(length: int, first: int) -> list[int]:
    """Lengths of the blocks of a run, in bytes."""
    if length <= first:
        return [length]
    whole, rest = divmod(length - first, BLOCK)
    return [first, *[BLOCK] * whole, *[rest] * bool(rest)]


def _run(
    chunks: Bytes, sizes: list[int], order: SimpleQueue[Future[bytes] | None], gone: Event
) -> None:
    """Keep the promises of one run, in their order, from one stream of its bytes."""
    rest = b""
    with closing(chunks):
        for size in sizes:
            future = order.get()
            if future is None or gone.is_set():
                return
            try:
                block, rest = _taken(chunks, rest, size, gone)
            except BaseException as error:
                future.set_exception(error)
                return
            future.set_result(block)


def _taken(chunks: Bytes, rest: bytes, size: int, gone: Event) -> tuple[bytes, bytes]:
    """Exactly `size` bytes of a stream, and what came beyond them."""
    found, length = [], 0
    while True:
        found.append(rest[: size - length])
        length, rest = length + len(found[-1]), rest[size - length :]
        if length == size:
            return b"".join(found), rest
        rest = next(chunks)
        if gone.is_set():
            raise Abandoned


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A source whose reading ends when the stream it is read for is left."""

    source: Source
    streams: Streams
    gone: Event

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, start: int, stop: int) -> bytes:
        with closing(self.streams.stream(start, stop, sleep=self.gone.wait)) as chunks:
            return _taken(chunks, b"", stop - start, self.gone)[0]
