"""Bytes of a member beside the bytes that they were made of: all of them, or a part of each tensor.

Both sides arrive as streams and are compared as they come, several ranges at a time; what is in
memory is a chunk of each.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock

from boomerang.assembly.bytefile import CHUNK
from boomerang.assembly.pieces import Cast, Range
from boomerang.assembly.prefetch import Data, Streams
from boomerang.assembly.stitch import Placed
from boomerang.checkpoint.header import ITEM_BYTES, Tensor
from boomerang.checkpoint.sources import Source

AT_ONCE = 8
"""Ranges that are compared at the same time."""
SEGMENT = 64 << 20
"""The most bytes of one range: so many can be compared in parallel, and each is worth a request."""
MOST = 1024
"""Tensors that a sample touches: each costs two requests."""

Told = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes [start, stop) of a tensor of a member, and what they must be equal to."""

    tensor: Tensor
    item: Placed
    start: int
    stop: int

    @property
    def known(self) -> bool:
        """Whether both lie at the same place of files that have the same sha256."""
        mine, theirs = (_sha256(one.source) for one in (self.tensor, self.item.tensor))
        alike = self.tensor.start == self.item.tensor.start and self.tensor.dtype == self.item.dtype
        return mine is not None and mine == theirs and alike and isinstance(self.item.piece, Range)

    @property
    def run(self) -> "Run":
        """The two ranges of bytes."""
        at, piece, (start, stop) = self.tensor.start, self.item.piece, (self.start, self.stop)
        other: Range | Cast
        if isinstance(piece, Cast):
            wide, narrow = ITEM_BYTES[piece.from_dtype], ITEM_BYTES[piece.to_dtype]
            first, last = (piece.start + end // narrow * wide for end in (start, stop))
            other = Cast(piece.source, first, last, piece.from_dtype, piece.to_dtype)
        else:
            from_ = self.item.tensor.start
            other = Range(self.item.tensor.source, from_ + start, from_ + stop)
        return Run(self.tensor.source, at + start, at + stop, other)


def _sha256(source: Source) -> str | None:
    """The sha256 under which a file was listed, where it was."""
    return getattr(source, "sha256", None)


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes [start, stop) of a file, and the run of bytes that they must be equal to."""

    source: Source
    start: int
    stop: int
    piece: Range | Cast


def every(member: dict[str, Tensor], placed: Iterable[Placed]) -> list[Part]:
    """All bytes of every tensor, in the order of the member's files."""
    parts = [Part(member[item.name], item, 0, item.size) for item in placed]
    return sorted(parts, key=lambda part: (part.tensor.source.name, part.tensor.start))


def sampled(parts: list[Part], budget: int, seed: int) -> list[Part]:
    """Some bytes at random places of each tensor, `budget` in all.

    Of more than MOST tensors as many of each layer of each side. Small tensors are taken whole, and
    what they leave of the budget goes to the others.
    """
    rng = random.Random(seed)  # noqa: S311 - so that the same seed is the same sample
    layers: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        layers[part.item.side, _layer(part.tensor.name)].append(part)
    groups = list(layers.values())
    for group in groups:
        rng.shuffle(group)
    rng.shuffle(groups)
    chosen = [group[turn] for turn in range(max(map(len, groups), default=0))
              for group in groups if turn < len(group)][:MOST]  # fmt: skip
    found, left = [], budget
    for number, part in enumerate(sorted(chosen, key=lambda part: part.item.size)):
        width, size = ITEM_BYTES[part.item.dtype], part.item.size
        length = min(left // (len(chosen) - number), size) // width * width
        length = min(max(length, width), size)
        start = rng.randrange(0, size - length + 1, width) if size else 0
        found.append(Part(part.tensor, part.item, start, start + length))
        left = max(left - length, 0)
    return sorted(found, key=lambda part: (part.tensor.source.name, part.tensor.start))


def _layer(name: str) -> str:
    """What of a tensor's name says in which layer it is."""
    return ".".join(part for part in name.split(".")[:4] if part.isdigit()) or name


def runs(parts: Iterable[Part]) -> Iterator[Run]:
    """The parts as runs of at most SEGMENT bytes; those that touch on both sides are one."""
    held: Run | None = None
    for part in parts:
        for start in range(part.start, part.stop, SEGMENT):
            run = Part(part.tensor, part.item, start, min(start + SEGMENT, part.stop)).run
            joined = held and _joined(held, run)
            if held and not joined:
                yield held
            held = joined or run
    if held is not None:
        yield held


def _joined(a: Run, b: Run) -> Run | None:
    """Both as one, where they touch on both sides and are not too long."""
    touch = a.source is b.source and a.stop == b.start and b.stop - a.start <= SEGMENT
    if not (touch and isinstance(a.piece, Range) and isinstance(b.piece, Range)):
        return None
    if a.piece.source is not b.piece.source or a.piece.stop != b.piece.start:
        return None
    return Run(a.source, a.start, b.stop, Range(a.piece.source, a.piece.start, b.piece.stop))


def first_difference(wanted: Iterable[Run], told: Told | None = None) -> tuple[Run, int] | None:
    """The first run that differs, and the byte of the member's file from which on it does.

    `told` is given the number of bytes of each chunk that was equal. Raises what reading raises.
    """
    gone, lock = Event(), Lock()

    def tell(count: int) -> None:
        if told is not None:
            with lock:
                told(count)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="compare") as pool:
        try:
            wanted = list(wanted)
            found = pool.map(partial(_difference, gone=gone, told=tell), wanted)
            for run, offset in zip(wanted, found, strict=True):
                if offset is not None:
                    return run, offset
        finally:
            gone.set()
            pool.shutdown(cancel_futures=True)
    return None


def _difference(run: Run, gone: Event, told: Told) -> int | None:
    """The first byte of the member's file in a run that differs; None also where nobody asks."""
    ours = _stream(Range(run.source, run.start, run.stop))
    theirs = _stream(run.piece)
    at, a, b = run.start, memoryview(b""), memoryview(b"")
    with closing(ours), closing(theirs):
        while at < run.stop and not gone.is_set():
            a, b = a or memoryview(next(ours)), b or memoryview(next(theirs))
            length = min(len(a), len(b))
            # Of bytes it is one call of the C library, of views of them a loop.
            if bytes(a[:length]) != bytes(b[:length]):
                return at + next(i for i in range(length) if a[i] != b[i])
            at, a, b = at + length, a[length:], b[length:]
            told(length)
    return None


def _stream(piece: Range | Cast) -> Generator[Data, None, None]:
    if isinstance(piece, Range) and isinstance(piece.source, Streams):
        yield from piece.source.stream(piece.start, piece.stop)
        return
    for at in range(0, piece.size, CHUNK):
        yield piece.read(at, min(at + CHUNK, piece.size))
