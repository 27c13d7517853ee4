"""Pieces appended to a file on disk at the cost of `cp`, whatever their number and size.

Ranges of local files are copied by the kernel: by copy_file_range, which shares blocks where the
file system can, and through a pipe where a range lies at another place of a page than its copy.
Where it can do neither they pass through one buffer. Each source is opened once. Whatever is copied
at a time ends at a round place of the file that is written: the page cache then holds it in few
large pieces, a third cheaper to make than many small ones.
"""

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType

from boomerang.assembly.followers import WINDOW, Digest, Follower, fill, take_in, write_back
from boomerang.assembly.pieces import Cast, Literal, Piece, Range, conversion
from boomerang.assembly.prefetch import Promised
from boomerang.checkpoint.sources import FileSource

BUFFER = 1 << 17
"""Bytes that pass through memory at a time. Of the sizes from 64 KiB to 1 MiB, 64 and 128 KiB were
the fastest; from 512 KiB on the page cache asks for larger pieces than it finds, at twice the cost.
"""

PAGE = 4096
"""copy_file_range goes page by page. Where a range begins at another place in a page than its copy,
every page is written in two parts, which takes half as long again as through memory; nor can
blocks be shared there."""

PIPE = 1 << 20
"""Bytes of the pipe, the most that any process may have by the system's default."""
PIPED = 3 << 18
"""Bytes that pass through the pipe at a time. The pages of the source are copied once, into large
pieces of the page cache. From 640 to 960 KiB all were as fast; 512 KiB took twice as long, and
1 MiB does not fit where the first page is not whole."""

HELD = 16
"""Descriptors of sources that are held open at most."""

_CANNOT = (
    errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.ETXTBSY,
    errno.EPERM,
)  # fmt: skip
"""What copy_file_range says across file systems, where it is unknown, or where a sandbox forbids
it: the same list that `cp` takes as a reason to read and write instead."""


def on_disk(*paths: Path) -> None:
    """Wait until files, or the names in folders, would outlast a loss of power. Raises OSError."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


class Writer:
    """Appends pieces to an open, empty file. To be closed, which checks the sources once more.

    The file must be open for reading too where there is a `digest`: it takes in what was written,
    a window behind the copy. With `early` the disk starts to write while the copy still goes on,
    so that a later fsync has little left to wait for.
    """

    def __init__(self, target: int, *, digest: Digest | None = None, early: bool = False) -> None:
        self._target = target
        acts = [take_in(target, digest)] if digest is not None else []
        acts += [write_back(target)] if early else []
        self._followers = [Follower(act) for act in acts]
        self._position = 0
        self._open: dict[FileSource, int] = {}
        self._not_in_kernel: set[FileSource] = set()
        self._pipe: tuple[int, int] | None = None
        self._piped = PIPED if hasattr(os, "splice") else 0
        self._buffer = memoryview(bytearray())

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        whole = False
        try:
            while self._open:
                source, descriptor = self._open.popitem()
                self._let_go(source, descriptor, check=error is None)
            whole = error is None
        finally:
            for descriptor in (*self._open.values(), *(self._pipe or ())):
                os.close(descriptor)
            for follower in self._followers:
                follower.stop(at_once=not whole)
        if whole:
            for follower in self._followers:
                follower.finish()

    def append(self, piece: Piece | Promised) -> None:
        """Write all of a piece.

        Raises OSError (a full disk, a source that cannot be read) or SourceChanged; a source that
        changes only afterwards is told about when the writer is closed.
        """
        if isinstance(piece, Literal):
            self._put(memoryview(piece.data))
        elif not isinstance(piece, Promised) and isinstance(piece.source, FileSource):
            done = 0
            if isinstance(piece, Range):
                done = self._copied(piece, piece.source)
                done = self._through_pipe(piece, piece.source, done)
            self._pass_file(piece, piece.source, done)
        else:
            for at in range(0, piece.size, BUFFER):
                self._put(memoryview(piece.read(at, min(at + BUFFER, piece.size))))

    def _copied(self, piece: Range, source: FileSource) -> int:
        """Copy in the kernel; return how many bytes, fewer where it will not."""
        done = 0
        if source in self._not_in_kernel:
            return done
        if (piece.start - self._position) % PAGE or not hasattr(os, "copy_file_range"):
            return done
        descriptor = self._descriptor(source)
        try:
            while done < piece.size:
                length = min(piece.size - done, WINDOW - self._position % WINDOW)
                at = piece.start + done
                copied = os.copy_file_range(descriptor, self._target, length, offset_src=at)
                if copied == 0:
                    break
                done += copied
                self._wrote(copied)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._not_in_kernel.add(source)
        return done

    def _through_pipe(self, piece: Range, source: FileSource, done: int) -> int:
        """Copy what is left by way of a pipe; return how many bytes of the piece are copied now."""
        while self._piped and piece.size - done >= PAGE:
            descriptor = self._descriptor(source)
            length = min(piece.size - done, self._piped - self._position % self._piped)
            try:
                if self._pipe is None:
                    self._pipe, self._piped = _pipe()
                    continue
                at = piece.start + done
                waiting = os.splice(descriptor, self._pipe[1], length, offset_src=at)
                if not waiting:
                    break
                while waiting:
                    written = os.splice(self._pipe[0], self._target, waiting)
                    waiting, done = waiting - written, done + written
                    self._wrote(written)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                # What is left in the pipe is read again, by the other way.
                self._piped = 0
        return done

    def _pass_file(self, piece: Range | Cast, source: FileSource, done: int) -> None:
        """Bring the rest of a piece, from its source's byte `done` on, through memory."""
        if piece.start + done == piece.stop:
            return
        descriptor = self._descriptor(source)
        if not self._buffer:
            self._buffer = memoryview(bytearray(BUFFER))
        cast, wide, narrow = conversion(piece)
        round_place = BUFFER * narrow // max(wide, narrow)
        at = piece.start + done
        while at < piece.stop:
            elements = max(1, (round_place - self._position % round_place) // narrow)
            block = self._buffer[: min(elements * wide, piece.stop - at)]
            there = fill(block, descriptor, at)
            if there < len(block):
                raise source.changed(f"it ends at byte {at + there}")
            self._put(memoryview(cast(block)) if cast else block)
            at += len(block)

    def _put(self, view: memoryview) -> None:
        while view:
            written = os.write(self._target, view)
            self._wrote(written)
            view = view[written:]

    def _wrote(self, length: int) -> None:
        self._position += length
        for follower in self._followers:
            follower.wrote(length)

    def _descriptor(self, source: FileSource) -> int:
        descriptor = self._open.get(source)
        if descriptor is None:
            if len(self._open) >= HELD:
                oldest = next(iter(self._open))
                self._let_go(oldest, self._open.pop(oldest), check=True)
            descriptor = self._open[source] = source.open()
        return descriptor

    def _let_go(self, source: FileSource, descriptor: int, *, check: bool) -> None:
        try:
            if check:
                source.check(descriptor)
        finally:
            os.close(descriptor)


def _pipe() -> tuple[tuple[int, int], int]:
    """A pipe, and how many bytes are to pass through it at a time."""
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        size = fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
    except OSError:
        # This user has as much memory in pipes as the system allows.
        size = fcntl.fcntl(ends[1], fcntl.F_GETPIPE_SZ)
    return ends, min(PIPED, size - PAGE)
