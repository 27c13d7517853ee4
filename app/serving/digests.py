"""The sha256 of a member's files as far as it is known: for who looks on, nothing is read."""

import hashlib

from app.serving.volume import Volume
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range
from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.sources import FileSource
from boomerang.service.settings import Settings


def known_digests(volume: Volume, settings: Settings, catalog: Catalog) -> dict[str, str | None]:
    """The sha256 of each file by name: None of those that nobody has hashed."""
    copied = {name: _copied(file) for name, file in volume.files.items()}
    known = catalog.known_hashes(source for source in copied.values() if source is not None)
    found: dict[str, str | None] = {}
    for name, file in volume.files.items():
        source = copied[name]
        if all(isinstance(piece, Literal) for piece in file.pieces):
            # It is in memory, and small.
            found[name] = hashlib.sha256(file.read()).hexdigest()
        elif source is not None:
            found[name] = known.get(source)
        else:
            found[name] = built_digest(volume, name, settings, catalog)
    return found


def built_digest(volume: Volume, name: str, settings: Settings, catalog: Catalog) -> str | None:
    """The sha256 of weights that were built as a file, from exactly what they are read from now."""
    file, built = volume.files[name], settings.member_folder(volume.member.digest) / name
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


def _copied(file: ByteFile) -> FileSource | None:
    """The local file of which this is a copy."""
    first = file.pieces[0] if len(file.pieces) == 1 else None
    if not isinstance(first, Range) or not isinstance(first.source, FileSource):
        return None
    return first.source if (first.start, first.size) == (0, first.source.size) else None
