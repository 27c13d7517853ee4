"""What a ByteFile is made of: literal bytes, ranges of other files, ranges to be cast."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from boomerang.checkpoint.header import ITEM_BYTES
from boomerang.checkpoint.sources import Source


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that stand in no file: a header, a config."""

    data: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of this piece."""
        return self.data[start:stop]


@dataclass(frozen=True, slots=True)
class Range:
    """The bytes [start, stop) of a source, as they are."""

    source: Source
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.stop - self.start

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of this piece."""
        return self.source.read(self.start + start, self.start + stop)


@dataclass(frozen=True, slots=True)
class Cast:
    """The elements in bytes [start, stop) of a source, in another float dtype."""

    source: Source
    start: int
    stop: int
    from_dtype: str
    to_dtype: str

    @property
    def size(self) -> int:
        """Length in bytes after the cast."""
        width = ITEM_BYTES[self.from_dtype]
        return (self.stop - self.start) // width * ITEM_BYTES[self.to_dtype]

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop) of the cast elements."""
        cast, wide, narrow = conversion(self)
        first, end = start // narrow, -(-stop // narrow)
        data = self.source.read(self.start + first * wide, self.start + end * wide)
        found = cast(data) if cast else data
        return found[start - first * narrow : stop - first * narrow]


Piece = Literal | Range | Cast


def conversion(
    piece: Range | Cast,
) -> tuple[Callable[[bytes | memoryview], bytes] | None, int, int]:
    """What casts the elements, if anything does, and their widths before and after in bytes."""
    if isinstance(piece, Range):
        return None, 1, 1
    # A plan and most members cast nothing, and do without the array library.
    from boomerang.checkpoint.casting import caster  # noqa: PLC0415 - numpy

    cast = caster(piece.from_dtype, piece.to_dtype)
    return cast, ITEM_BYTES[piece.from_dtype], ITEM_BYTES[piece.to_dtype]


def merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same bytes in fewer pieces: empty ones go, ranges that touch in a source become one."""
    held: Piece | None = None
    for piece in pieces:
        if not piece.size:
            continue
        if (
            isinstance(held, Range)
            and isinstance(piece, Range)
            and held.source is piece.source
            and held.stop == piece.start
        ):
            held = Range(held.source, held.start, piece.stop)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held
