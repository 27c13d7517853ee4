"""What a thread does with the bytes of a file, a window behind whoever appends them."""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

WINDOW = 1 << 23
"""Bytes after which the system is told to start writing to the disk, and the kernel's longest copy:
of the sizes from 4 to 128 MiB, those up to 8 had the shortest time until all was on disk."""

DIGESTED = 1 << 18
"""Bytes that a digest takes in at a time."""


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in more bytes."""


class Follower:
    """A thread that does something with what was appended so far, window by window."""

    def __init__(self, act: Callable[[int, int], None]) -> None:
        self._act = act
        self._told = self._size = 0
        self._windows: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._left = False
        self._error: OSError | None = None

    def wrote(self, length: int) -> None:
        """Take note that so many bytes were appended."""
        self._size += length
        if self._size - self._told < WINDOW:
            return
        if self._thread is None:
            self._thread = Thread(target=self._work, name="follower", daemon=True)
            self._thread.start()
        self._windows.put((self._told, self._size - self._told))
        self._told = self._size

    def stop(self, *, at_once: bool) -> None:
        """End the thread, where not at once when it has done every window."""
        self._left = at_once
        if self._thread is not None:
            self._windows.put(None)
            self._thread.join()

    def finish(self) -> None:
        """Do what is left after the last window. Raises what ended the thread."""
        if self._error is not None:
            raise self._error
        self._act(self._told, self._size - self._told)

    def _work(self) -> None:
        while (window := self._windows.get()) is not None and not self._left:
            try:
                self._act(*window)
            except OSError as error:
                self._error = error
                return


def write_back(target: int) -> Callable[[int, int], None]:
    """Has the disk write a window of the target."""

    def act(start: int, length: int) -> None:
        # The advice first starts the writing of dirty pages, without waiting for it; as they are
        # being written then, none of them leaves the page cache. Where there is no such advice
        # only the flush at the end is slower, and that is where errors are told.
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(target, start, length, os.POSIX_FADV_DONTNEED)

    return act


def take_in(target: int, digest: Digest) -> Callable[[int, int], None]:
    """Takes a window of the target into a digest, read while the page cache still holds it."""
    buffer = memoryview(bytearray(DIGESTED))

    def act(start: int, length: int) -> None:
        for at in range(start, start + length, DIGESTED):
            block = buffer[: min(DIGESTED, start + length - at)]
            if fill(block, target, at) < len(block):
                raise OSError(errno.EIO, "What was written is not there")
            digest.update(block)

    return act


def fill(block: memoryview, descriptor: int, at: int) -> int:
    """Read the bytes from `at` on; return how many there were."""
    filled = 0
    while filled < len(block) and (got := os.preadv(descriptor, [block[filled:]], at + filled)):
        filled += got
    return filled
