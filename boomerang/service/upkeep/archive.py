"""A backup as files: a folder or one tar, with the sha256 of each file, found whole or not at all.

`SHA256SUMS` lists every other file, as `sha256sum -c` reads it. A backup lies under a name that
begins with a dot until all of it was read back.
"""

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from boomerang.errors import BadRequest

SUMS = "SHA256SUMS"
_CHUNK = 1 << 20
_NAME = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[\w.+@ -]+(?:/[\w.+@ -]+)*", re.ASCII)
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")

Told = Callable[[int], object]
"""Is given the number of bytes each time that some are done."""


class Damaged(BadRequest):
    """A backup that is not what was written."""

    slug, title = "damaged-backup", "The backup is damaged"


class Archive(Protocol):
    """Where files are put, each of which is known by the sha256 that it must have."""

    def put(self, name: str, source: Path, digest: str, told: Told) -> None:
        """Add a file under a name. Raises Damaged where what was read of it is another."""

    def prove(self, digests: dict[str, str], told: Told) -> None:
        """Read back all that was put. Raises Damaged."""


class Folder:
    """Files below a folder: linked where they lie on the same disk, or copied."""

    def __init__(self, root: Path) -> None:
        root.mkdir(mode=0o700)
        self._root = root

    def put(self, name: str, source: Path, digest: str, told: Told) -> None:
        """Add a file under a name. Raises Damaged where what was read of it is another."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target, follow_symlinks=False)
        except FileNotFoundError:
            raise _changed(name) from None
        except OSError:
            if _copy(source, target, told) != digest:
                raise _changed(name) from None

    def prove(self, digests: dict[str, str], told: Told) -> None:
        """Read back all of it, as what was linked may be another file than was read before.

        Raises Damaged.
        """
        for name in digests:
            proved(self._root, name, digests[name], told)


class Tar:
    """Files in one tar, not compressed: weights do not get smaller."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tar = tarfile.open(file, "x:", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - see prove

    def put(self, name: str, source: Path, digest: str, told: Told) -> None:
        """Add a file under a name. Raises Damaged where what was read of it is another."""
        with source.open("rb") as file:
            about = self._tar.gettarinfo(arcname=name, fileobj=file)
            about.uid = about.gid = 0
            about.uname = about.gname = ""
            about.mode = 0o600
            hashing = _Hashing(file, told)
            self._tar.addfile(about, hashing)
        if hashing.digest.hexdigest() != digest:
            raise _changed(name)

    def prove(self, digests: dict[str, str], told: Told) -> None:
        """End the tar and read it back. Raises Damaged."""
        self._tar.close()
        found: dict[str, str] = {}
        with tarfile.open(self._file, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                found[member.name] = "" if content is None else _digest(content, told)
        wrong = [one for one in found if found[one] != digests.get(one)]
        for name in (*wrong, *sorted(set(digests) - set(found))):
            raise _changed(name)


class _Hashing:
    def __init__(self, file: IO[bytes], told: Told) -> None:
        self._file, self._told, self.digest = file, told, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._told(len(data))
        return data


def sums_of(digests: dict[str, str]) -> str:
    """The lines of `SHA256SUMS`."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def read_sums(root: Path) -> dict[str, str]:
    """The sha256 by name that a backup's `SHA256SUMS` lists. Raises Damaged."""
    file = root / SUMS
    if not file.is_file():
        raise Damaged(
            f"{root} has no {SUMS}.", value=str(root), fix="Name what `boomerang backup` made."
        )
    found: dict[str, str] = {}
    for line in file.read_text("utf-8").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or _NAME.fullmatch(match[2]) is None:
            raise Damaged(f"{SUMS} has a line that is none: {line[:80]!r}.", fix="Take another.")
        found[match[2]] = match[1]
    return found


def proved(root: Path, name: str, digest: str, told: Told) -> None:
    """Raise Damaged where a file is not what was written."""
    path = root / name
    if path.is_symlink() or not path.is_file() or sha256_of(path, told) != digest:
        raise _changed(name)


def copied(root: Path, name: str, digest: str, target: Path, told: Told) -> None:
    """Copy a file out of a backup. Raises Damaged where it is not what was written."""
    source = root / name
    if source.is_symlink() or not source.is_file():
        raise _changed(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if _copy(source, target, told) != digest:
        raise _changed(name)


@contextmanager
def unpacked(source: Path, beside: Path, told: Told) -> Iterator[Path]:
    """The folder of a backup; a tar is unpacked into `beside`, which is removed in the end."""
    if source.is_dir():
        yield source
        return
    try:
        beside.mkdir(mode=0o700, parents=True)
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                if not member.isfile() or _NAME.fullmatch(member.name) is None:
                    raise Damaged(f"{source} has {member.name[:80]!r} in it.", fix="Take another.")
                tar.extract(member, beside, filter="data")
                told(member.size)
        yield beside
    except tarfile.TarError as error:
        raise Damaged(
            f"{source} is no whole tar ({error}).", value=str(source), fix="Take another."
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def sha256_of(path: Path, told: Told) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return _digest(file, told)


def synced(path: Path) -> None:
    """Have a file or a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(file: IO[bytes], told: Told) -> str:
    hashing = _Hashing(file, told)
    while hashing.read(_CHUNK):
        pass
    return hashing.digest.hexdigest()


def _copy(source: Path, target: Path, told: Told) -> str:
    with source.open("rb") as file, target.open("xb") as out:
        hashing = _Hashing(file, told)
        while data := hashing.read(_CHUNK):
            out.write(data)
        out.flush()
        os.fsync(out.fileno())
    return hashing.digest.hexdigest()


def _changed(name: str) -> Damaged:
    return Damaged(
        f"{name} of the backup is not what was written.", value=name, fix="Take another backup."
    )
