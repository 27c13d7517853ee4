"""A file of byte ranges as one that is open for reading: what the client takes for an upload."""

import io
import os
from collections.abc import Callable, Iterator

from boomerang.assembly.bytefile import ByteFile


class Reader(io.BufferedIOBase):
    """Reads a ByteFile at any place, holding no more of it than a chunk.

    `told` is called with the furthest byte that was read so far.
    """

    def __init__(self, content: ByteFile, told: Callable[[int], object] = lambda _: None) -> None:
        self._content = content
        self._told = told
        self._at = self._furthest = 0
        self._chunks: Iterator[bytes | memoryview] | None = None
        self._next = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is: an upload that failed is begun again."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; nothing is read for that."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._content.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, all of them by default; fewer than `size` only at the end.

        Raises SourceChanged, and what a source elsewhere raises.
        """
        left = max(0, self._content.size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        parts = []
        while wanted:
            part = self._some(wanted)
            wanted -= len(part)
            parts.append(part)
        if parts and self._at > self._furthest:
            self._furthest = self._at
            self._told(self._furthest)
        return b"".join(parts)

    def _some(self, most: int) -> memoryview:
        if self._chunks is None or self._next != self._at:
            self._chunks = self._content.chunks(self._at)
            self._rest = memoryview(b"")
        if not self._rest:
            self._rest = memoryview(next(self._chunks))
        part, self._rest = self._rest[:most], self._rest[most:]
        self._at += len(part)
        self._next = self._at
        return part
