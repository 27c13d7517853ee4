"""Folders of this machine: which a name may mean, and what stands for the commit of one."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boomerang.checkpoint.files import travels
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadName, Unusable


@dataclass(frozen=True, slots=True)
class Folders:
    """Those below `root`, which people know as `called`; none where that is None."""

    root: Path | None
    called: str

    def path(self, name: str) -> Path | None:
        """Where a name lies; None where there is no root.

        Raises BadName for a path that leaves the root, links included.
        """
        if name.startswith(("/", "~")) or "\\" in name or "\0" in name or ".." in name.split("/"):
            raise BadName(
                f"{name!r} is no name of a model or a text.",
                value=name,
                fix=f"Give a Hub repo id, or a folder below {self.called} without '..'.",
            )
        if self.root is None:
            return None
        path = (self.root / name).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise BadName(
                f"{name!r} leads out of {self.called}.", value=name, fix="Move the folder there."
            )
        return path


_CHUNK = 1 << 20
"""Bytes that are hashed between two looks at whether they are wanted still."""


def files_of(checkpoint: Checkpoint) -> Iterator[FileSource]:
    """The files on this machine that a member may be cut from."""
    weights = {tensor.source for tensor in checkpoint.tensors.values()}
    others = {source for name, source in checkpoint.files.items() if travels(name)}
    return (source for source in weights | others if isinstance(source, FileSource))


def sha256_of(source: FileSource, told: Callable[[int], object] | None = None) -> str:
    """Hex digest of a file's content.

    `told` is given the number of bytes of each chunk; what it raises ends the hashing. Raises
    SourceChanged where the file is not what it was, also when it changes meanwhile.
    """
    total, buffer = hashlib.sha256(), bytearray(_CHUNK)
    with open(source.open(), "rb", buffering=0) as file:
        while got := os.readv(file.fileno(), [buffer]):
            total.update(memoryview(buffer)[:got])
            if told is not None:
                told(got)
        source.check(file.fileno())
    return total.hexdigest()


def content_commit(checkpoint: Checkpoint, digest: Callable[[FileSource], str] = sha256_of) -> str:
    """40 hex digits over the content of a local checkpoint's files.

    `digest` gives the sha256 of one file; the service remembers those that it took.
    """
    return commit_of((source.name, digest(source)) for source in files_of(checkpoint))


def commit_of(digests: Iterable[tuple[str, str]]) -> str:
    """40 hex digits over the names of files and their sha256."""
    total = hashlib.sha256()
    for line in sorted(f"{name} {digest}\n" for name, digest in digests):
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
