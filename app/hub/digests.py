"""What git and git-lfs call a file: the digests with which the Hub's clients check a download.

A small file has git's own name for its content. Weights have a sha256 once the worker that built
them took it; for the sake of a listing nothing is read here but small files.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.serving.volume import Volume
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range
from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.sources import FileSource
from boomerang.service.settings import Settings

SMALL_BYTES = 64 << 20
"""The largest file that is read to be named: tokenizers have up to some 40 MB."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One file as the Hub lists it: `oid` has 40 hex digits; `sha256` is that of a large file."""

    size: int
    oid: str
    sha256: str | None = None

    @property
    def pointer_size(self) -> int:
        """Bytes of the pointer that git keeps in place of a large file."""
        return len(_pointer(self.sha256 or "", self.size))


def blob_of(volume: Volume, name: str, settings: Settings, catalog: Catalog) -> Blob:
    """How a file of a member is listed.

    A file that nobody hashed yet is called by its ETag, which stands for its bytes but does not
    come from them.
    """
    file = volume.files[name]
    if name.endswith(".safetensors"):
        built = settings.member_folder(volume.member.digest) / name
        sha256 = _known(built, file, catalog)
        if sha256 is not None:
            return Blob(file.size, git_oid(_pointer(sha256, file.size)), sha256)
        return Blob(file.size, volume.etag(name))
    return Blob(file.size, _small_oid(file) or volume.etag(name))


def git_oid(data: bytes) -> str:
    """The name that git gives to these bytes as a file."""
    header = b"blob %d\0" % len(data)
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()


def folder_oid(entries: dict[str, str]) -> str:
    """A name for a folder, from those of what lies in it."""
    listed = "".join(f"{oid} {name}\n" for name, oid in sorted(entries.items()))
    return git_oid(listed.encode())


def _pointer(sha256: str, size: int) -> bytes:
    """Git-lfs' pointer file: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""
    spec = "https://git-lfs.github.com/spec/v1"
    return f"version {spec}\noid sha256:{sha256}\nsize {size}\n".encode()


def _known(built: Path, file: ByteFile, catalog: Catalog) -> str | None:
    """The sha256 of weights that were built as a file, from exactly what they are read from now."""
    sources = {piece.source for piece in file.pieces if isinstance(piece, Range | Cast)}
    local = [source for source in sources if isinstance(source, FileSource)]
    try:
        status = built.stat()
        sha256 = catalog.known_hash(built)
    except OSError:
        return None
    # A student that was damaged and made again is younger than what was built from the old one.
    younger = all(source.mtime_ns <= status.st_mtime_ns for source in local)
    return sha256 if status.st_size == file.size and younger else None


def _small_oid(file: ByteFile) -> str | None:
    if file.size > SMALL_BYTES:
        return None
    if all(isinstance(piece, Literal) for piece in file.pieces):
        return git_oid(file.read())
    first: Any = file.pieces[0]
    whole = isinstance(first, Range) and len(file.pieces) == 1 and first.start == 0
    if whole and isinstance(first.source, FileSource) and first.source.size == file.size:
        return _file_oid(first.source)
    return None


@lru_cache(maxsize=4096)
def _file_oid(source: FileSource) -> str:
    # The source holds size, inode and modification time: another file is another key.
    return git_oid(source.read(0, source.size))
