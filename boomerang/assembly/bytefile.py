"""A file that is a list of pieces: literal bytes, ranges of other files, ranges to be cast.

One object serves every consumer: written to disk, streamed with ranges, hashed, pushed; many
together as a folder or as one tar. Nothing is read until bytes are asked for, and never more than a
chunk at a time.
"""

import hashlib
import os
import secrets
import shutil
import tarfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import accumulate
from pathlib import Path

from boomerang.architecture.anatomy import dissect
from boomerang.assembly.followers import Digest
from boomerang.assembly.pieces import Cast, Literal, Piece, Range, merged
from boomerang.assembly.prefetch import read_ahead
from boomerang.assembly.writing import Writer
from boomerang.checkpoint.sources import Source
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import SourceChanged

__all__ = ["CHUNK", "ByteFile", "Cast", "Literal", "Piece", "Range"]

CHUNK = 1 << 20


class ByteFile:
    """An addressable file made of pieces. Ranges that touch in their source become one."""

    __slots__ = ("_starts", "pieces", "size")

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self.pieces = tuple(merged(pieces))
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

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes | memoryview]:
        """Yield the bytes [start, stop) in pieces of at most CHUNK bytes.

        Raises SourceChanged as soon as a source is not what it was; nothing wrong is yielded.
        """
        spans = self.spans(start, self.size if stop is None else stop)
        with closing(read_ahead(spans)) as parts:
            for piece, first, end in parts:
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

    def write(self, path: Path, *, digest: Digest | None = None, sync: bool = True) -> None:
        """Write to `path`: under a temporary name first, renamed when whole and on disk.

        `digest` takes in every byte a moment after it, while the page cache has it. Without
        `sync` the bytes are left to the system to flush, as `cp` does: for what a crash may take.
        Raises OSError (a full disk) or SourceChanged, and leaves nothing under either name.
        """
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with open(temporary, "x+b", buffering=0) as file:
                with Writer(file.fileno(), digest=digest, early=sync) as writer:
                    whole = ((piece, 0, piece.size) for piece in self.pieces)
                    with closing(read_ahead(whole)) as parts:
                        for piece, _, _ in parts:
                            writer.append(piece)
                if file.tell() != self.size:
                    raise SourceChanged(
                        f"{path.name} came to {file.tell()} bytes instead of {self.size}.",
                        value=path.name,
                        fix="Try again.",
                    )
                if sync:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


Watch = Callable[[Path, int], AbstractContextManager[object]]
"""Gives what is entered while so many bytes come into a folder: a progress bar."""


def write_folder(files: Mapping[str, ByteFile], out: Path, watch: Watch | None = None) -> None:
    """Write files into a folder of a temporary name, check its headers, then rename it.

    Raises as `ByteFile.write`, `Checkpoint.open` and `dissect`.
    """
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    part.mkdir(parents=True)
    total = sum(file.size for file in files.values())
    try:
        with watch(part, total) if watch else nullcontext():
            for name, file in files.items():
                target = part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file.write(target)
        dissect(Checkpoint.open(part, out.name))
        os.rename(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


BLOCK = 512


def tar(files: Mapping[str, ByteFile], folder: str) -> ByteFile:
    """One tar with every file under `folder/`, config and other small files first."""
    pieces: list[Piece] = []
    for name, file in sorted(
        files.items(), key=lambda item: (item[0].endswith(".safetensors"), item[0])
    ):
        info = tarfile.TarInfo(f"{folder}/{name}")
        info.size = file.size
        info.mode = 0o644
        pieces.append(Literal(info.tobuf(format=tarfile.PAX_FORMAT)))
        pieces.extend(file.pieces)
        pieces.append(Literal(bytes(-file.size % BLOCK)))
    size = sum(piece.size for piece in pieces)
    end = 2 * BLOCK
    pieces.append(Literal(bytes(end + -(size + end) % tarfile.RECORDSIZE)))
    return ByteFile(pieces)
