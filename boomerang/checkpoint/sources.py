"""Where bytes lie: anything that is read by range, and a file that must stay as it is."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from boomerang.errors import SourceChanged


class Source(Protocol):
    """Bytes at an address: a file on this machine, or one on the Hub."""

    @property
    def name(self) -> str:
        """What an error calls it."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop), or raise."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A local file, remembered with what tells whether it is still the same file."""

    path: Path
    size: int
    inode: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileSource":
        """Remember a file as it is now."""
        status = path.stat()
        return cls(path, status.st_size, status.st_ino, status.st_mtime_ns)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self.path.name

    def open(self) -> int:
        """Open for reading and return the descriptor.

        Raises SourceChanged where size, inode or modification time are not those remembered.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self.changed(error.strerror or "it cannot be opened") from error
        try:
            self.check(descriptor)
        except SourceChanged:
            os.close(descriptor)
            raise
        return descriptor

    def check(self, descriptor: int) -> None:
        """Raise SourceChanged where an open file is not, or no longer, the one remembered."""
        status = os.fstat(descriptor)
        now = (status.st_size, status.st_ino, status.st_mtime_ns)
        if now != (self.size, self.inode, self.mtime_ns):
            raise self.changed("size, inode or modification time differ")

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop).

        Raises SourceChanged, also where the file changes while it is read.
        """
        descriptor = self.open()
        try:
            data = os.pread(descriptor, stop - start, start)
            while len(data) < stop - start:
                more = os.pread(descriptor, stop - start - len(data), start + len(data))
                if not more:
                    raise self.changed(f"it ends at byte {start + len(data)}")
                data += more
            self.check(descriptor)
            return data
        finally:
            os.close(descriptor)

    def changed(self, how: str) -> SourceChanged:
        """The error for a file that is not what it was."""
        return SourceChanged(
            f"{self.name} is not the file that was read first: {how}.",
            value=self.name,
            fix="Restore it, or ask for the family again so that it is read anew.",
        )
