"""What stands for the commit of a local folder, and which licences let a family be made."""

import hashlib
from collections.abc import Callable, Iterator

from boomerang.checkpoint import Checkpoint, FileSource
from boomerang.errors import Unusable
from boomerang.hub_files import travels


def files_of(checkpoint: Checkpoint) -> Iterator[FileSource]:
    """The files on this machine that a member may be cut from."""
    weights = {tensor.source for tensor in checkpoint.tensors.values()}
    others = {source for name, source in checkpoint.files.items() if travels(name)}
    return (source for source in weights | others if isinstance(source, FileSource))


def sha256_of(source: FileSource) -> str:
    """Hex digest of a file's content."""
    with source.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_commit(checkpoint: Checkpoint, digest: Callable[[FileSource], str] = sha256_of) -> str:
    """40 hex digits over the content of a local checkpoint's files.

    `digest` gives the sha256 of one file; the service remembers those that it took.
    """
    total = hashlib.sha256()
    for line in sorted(f"{source.name} {digest(source)}\n" for source in files_of(checkpoint)):
        total.update(line.encode())
    return total.hexdigest()[:40]


def refuse_without_derivatives(teacher: str, licence: str | None) -> None:
    """Raise Unusable where the licence forbids derived works, which every member is."""
    if licence and "nd" in licence.lower().replace("_", "-").split("-"):
        raise Unusable(
            f"The licence of {teacher!r} ({licence}) forbids derived works.",
            value=licence,
            fix="Use a teacher whose licence allows them.",
        )
