"""A part of a ByteFile read once from its start to its end, for a client on a socket.

Descriptors are opened once and held for as long as the stream lasts. What the page cache holds is
taken at once, without a thread; whoever asks learns when a read would have to wait for the disk.
Long runs of a local file can be had as a place in that file instead, for the kernel to send.
"""

import errno
import os
from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock
from typing import TypedDict

from boomerang.assembly.bytefile import ByteFile, Literal, Piece, Range
from boomerang.assembly.prefetch import Ahead, Data, Part, Promised, read_ahead
from boomerang.checkpoint.sources import FileSource

BLOCK = 1 << 20
"""Bytes of a block. Larger ones leave the processor's cache between reading and sending."""

WINDOW = 1 << 22
"""Bytes of a file that are lent at a time. With a quarter of that one client gets two thirds of the
speed; a change of the file is noticed only after a window."""

LENT = 1 << 18
"""Bytes from which on lending is worth a thread."""

HELD = 8
"""Descriptors that one stream holds at most; a member is cut from the shards of two models."""

_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)
_CANNOT = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)

__all__ = ["Data", "Lent", "Part", "Reader"]


class Lent(TypedDict):
    """`count` bytes from `offset` on of an open descriptor."""

    file: int
    offset: int
    count: int


class Reader:
    """Gives the bytes of some parts in blocks, each of them once.

    One caller at a time; `close` may come from another thread and waits for a read under way.
    """

    def __init__(self, parts: Iterable[Part], size: int) -> None:
        """`size` is the number of bytes in all parts."""
        self._parts = read_ahead(parts)
        self._part: Ahead | None = next(self._parts, None)
        self._left = size
        self._block: bytearray | None = None
        self._filled = 0
        self._descriptors: dict[FileSource, int] = {}
        self._can_try = _NOWAIT is not None
        self._closed = False
        self._lock = Lock()

    @classmethod
    def of(cls, file: ByteFile, start: int = 0, stop: int | None = None) -> "Reader":
        """A reader of the bytes [start, stop) of a file."""
        stop = file.size if stop is None else min(stop, file.size)
        return cls(file.spans(start, stop), max(stop - start, 0))

    def ready(self) -> Data | None:
        """The next block if no disk has to be waited for, else None; empty at the end.

        Raises SourceChanged, OSError.
        """
        with self._lock:
            return self._next(wait=False)

    def coming(self) -> Future[Data] | None:
        """What comes next, where that is on its way from elsewhere and not there yet."""
        with self._lock:
            piece = self._part[0] if self._part is not None else None
            waits = isinstance(piece, Promised) and not piece.future.done()
            return piece.future if waits and isinstance(piece, Promised) else None

    def wait_here(self) -> Data | None:
        """As `wait`, but None as soon as something from elsewhere would have to be waited for."""
        with self._lock:
            return self._next(wait=True, elsewhere=False)

    def wait(self) -> Data:
        """The next block, however long it takes; empty at the end.

        Raises SourceChanged as soon as a source is not what it was, OSError where it cannot be
        read, and what a source elsewhere raises. Nothing wrong is returned.
        """
        with self._lock:
            return self._next(wait=True) or b""

    def lend(self) -> Lent | None:
        """The next bytes as a place in an open local file; they count as read.

        None where they do not lie in such a file, are few, or are the last ones: those are read,
        so that all sources are looked at once more before an answer is whole. The descriptor is
        good until the next call. Raises SourceChanged.
        """
        with self._lock:
            if self._closed or self._block is not None or self._part is None:
                return None
            piece, start, stop = self._part
            if not isinstance(piece, Range) or not isinstance(piece.source, FileSource):
                return None
            descriptor = self._descriptors.get(piece.source)
            count = min(stop - start, self._left - BLOCK, WINDOW)
            if descriptor is None or count < LENT:
                return None
            piece.source.check(descriptor)
            self._left -= count
            self._advance(count)
            return {"file": descriptor, "offset": piece.start + start, "count": count}

    def close(self) -> None:
        """Close every descriptor; nothing is read after that."""
        with self._lock:
            self._closed = True
            self._parts.close()
            while self._descriptors:
                os.close(self._descriptors.popitem()[1])

    def _next(self, *, wait: bool, elsewhere: bool = True) -> Data | None:
        if self._closed:
            raise ValueError("The reader is closed.")
        abroad = wait and elsewhere
        done = self._arrived(wait=abroad) if self._block is None else None
        if done is None and not self._fill(wait=wait, elsewhere=abroad):
            return None
        if done is None:
            done, self._block = memoryview(self._block or b""), None
        self._left -= len(done)
        if not self._left:
            # What was lent was looked at before it was sent, and not after.
            for source, descriptor in self._descriptors.items():
                source.check(descriptor)
        return done

    def _arrived(self, *, wait: bool) -> Data | None:
        """A whole block from elsewhere, which is passed on as it is."""
        if self._part is None:
            return None
        piece, start, stop = self._part
        if not isinstance(piece, Promised) or not (wait or piece.future.done()):
            return None
        block = piece.read(start, stop)
        self._advance(stop - start)
        return block

    def _fill(self, *, wait: bool, elsewhere: bool) -> bool:
        """Whether a block is full; what there is of it is kept."""
        if self._block is None:
            self._block, self._filled = bytearray(min(BLOCK, self._left)), 0
        view = memoryview(self._block)
        while self._filled < len(view) and self._part is not None:
            piece, start, stop = self._part
            room = view[self._filled : self._filled + stop - start]
            own = elsewhere if isinstance(piece, Promised) else wait
            got = self._read(piece, start, room, wait=own)
            if not got:
                return False
            self._filled += got
            self._advance(got)
        return True

    def _advance(self, count: int) -> None:
        if self._part is not None:
            piece, start, stop = self._part
            rest = (piece, start + count, stop) if start + count < stop else None
            self._part = rest or next(self._parts, None)

    def _read(self, piece: Piece | Promised, start: int, room: memoryview, *, wait: bool) -> int:
        """Fill the start of `room`; 0 where that would have to wait."""
        if isinstance(piece, Literal):
            room[:] = piece.data[start : start + len(room)]
            return len(room)
        if isinstance(piece, Range) and isinstance(piece.source, FileSource):
            return self._read_file(piece.source, piece.start + start, room, wait=wait)
        if not wait and not (isinstance(piece, Promised) and piece.future.done()):
            return 0
        room[:] = piece.read(start, start + len(room))
        return len(room)

    def _read_file(self, source: FileSource, at: int, room: memoryview, *, wait: bool) -> int:
        if not wait and (source not in self._descriptors or not self._can_try):
            return 0
        descriptor = self._open(source)
        try:
            got = os.preadv(descriptor, [room], at, 0 if wait else _NOWAIT or 0)
        except BlockingIOError:
            return 0
        except OSError as error:
            if wait or error.errno not in _CANNOT:
                raise
            self._can_try = False
            return 0
        source.check(descriptor)
        if wait and not got:
            raise source.changed(f"it ends at byte {at}")
        return got

    def _open(self, source: FileSource) -> int:
        descriptor = self._descriptors.get(source)
        if descriptor is None:
            while len(self._descriptors) >= HELD:
                oldest = next(iter(self._descriptors))
                oldest.check(self._descriptors[oldest])
                os.close(self._descriptors.pop(oldest))
            descriptor = self._descriptors[source] = source.open()
        return descriptor
