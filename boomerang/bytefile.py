"""A file that is a list of pieces: literal bytes, ranges of other files, ranges to be cast.

One object serves every consumer: written to disk, streamed with ranges, hashed, pushed. Nothing
is read until bytes are asked for, and never more than a chunk at a time.
"""

import errno
import hashlib
import os
import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from boomerang.checkpoint import ITEM_BYTES, FileSource, Source
from boomerang.errors import SourceChanged

CHUNK = 1 << 20


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
        wide, narrow = ITEM_BYTES[self.from_dtype], ITEM_BYTES[self.to_dtype]
        first, end = start // narrow, -(-stop // narrow)
        data = self.source.read(self.start + first * wide, self.start + end * wide)
        # A plan casts nothing, and starts without the array library.
        from boomerang.casting import caster

        cast = caster(self.from_dtype, self.to_dtype)(data)
        return cast[start - first * narrow : stop - first * narrow]


Piece = Literal | Range | Cast


class ByteFile:
    """An addressable file made of pieces. Ranges that touch in their source become one."""

    __slots__ = ("_starts", "pieces", "size")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(_merged(piece for piece in pieces if piece.size))
        ends = list(accumulate((piece.size for piece in self.pieces), initial=0))
        self._starts = ends[:-1]
        self.size = ends[-1]

    @classmethod
    def literal(cls, data: bytes | str) -> "ByteFile":
        """A file of these bytes."""
        return cls([Literal(data.encode() if isinstance(data, str) else data)])

    @classmethod
    def whole(cls, source: Source) -> "ByteFile":
        """All of a source."""
        return cls([Range(source, 0, source.size)])

    def spans(self, start: int, stop: int) -> Iterator[tuple[Piece, int, int]]:
        """Yield the pieces under [start, stop), each with the part of it that is meant."""
        stop = min(stop, self.size)
        index = max(bisect_right(self._starts, start) - 1, 0)
        while start < stop:
            piece, base = self.pieces[index], self._starts[index]
            end = min(stop, base + piece.size)
            yield piece, start - base, end - base
            start, index = end, index + 1

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes [start, stop) in pieces of at most CHUNK bytes.

        Raises SourceChanged as soon as a source is not what it was; nothing wrong is yielded.
        """
        for piece, first, end in self.spans(start, self.size if stop is None else stop):
            for at in range(first, end, CHUNK):
                yield piece.read(at, min(at + CHUNK, end))

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes [start, stop) at once."""
        return b"".join(self.chunks(start, stop))

    def sha256(self) -> str:
        """Hex digest of the whole content."""
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write to `path`: under a temporary name first, renamed when whole and on disk.

        Raises OSError (a full disk) or SourceChanged, and leaves nothing under either name.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with open(temporary, "xb", buffering=0) as file:
                for piece in self.pieces:
                    _copy(piece, file.fileno())
                if file.tell() != self.size:
                    raise SourceChanged(
                        f"{path.name} came to {file.tell()} bytes instead of {self.size}.",
                        value=path.name,
                        fix="Try again.",
                    )
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _merged(pieces: Iterable[Piece]) -> Iterator[Piece]:
    held: Piece | None = None
    for piece in pieces:
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


def _copy(piece: Piece, target: int) -> None:
    """Append a piece to an open file, in the kernel where that is possible."""
    done = 0
    if isinstance(piece, Range) and isinstance(piece.source, FileSource):
        descriptor = piece.source.open()
        try:
            while done < piece.size:
                copied = os.copy_file_range(
                    descriptor, target, piece.size - done, offset_src=piece.start + done
                )
                if copied == 0:
                    break
                done += copied
            piece.source.check(descriptor)
        except OSError as error:
            # Across file systems, or where the file system cannot: read and write instead.
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        finally:
            os.close(descriptor)
    for at in range(done, piece.size, CHUNK):
        view = memoryview(piece.read(at, min(at + CHUNK, piece.size)))
        while view:
            view = view[os.write(target, view) :]
