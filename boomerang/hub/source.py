"""One file of a repository at a pinned commit, read by byte range over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from boomerang.hub import library
from boomerang.hub.hurry import silence

if TYPE_CHECKING:
    from httpx2 import Response
import time
from contextlib import closing
from dataclasses import dataclass, field

from boomerang.assembly.prefetch import Bytes, Sleep
from boomerang.checkpoint.header import HEADER_LIMIT
from boomerang.errors import FileNotInModel, SourceChanged, TeacherNotFound
from boomerang.hub.client import Patience, hub_errors
from boomerang.hub.storage_address import HubFile, Location

AT_ONCE = 1 << 20
"""Bytes that are asked of the connection at a time; it gives what has arrived."""
PARSED = 1 << 20
"""Bytes of a body up to which the connection is worth more than the copies: it is used again."""


def body(response: "Response") -> Iterator[bytes]:
    """Yield the body as it arrives. Raises httpx2.TransportError where the connection breaks."""
    parsed = response.iter_raw()
    left = _length(response)
    if left <= PARSED:
        yield from parsed
        return
    # With its first bytes the parser gives all that it has.
    for chunk in parsed:
        left -= len(chunk)
        yield chunk
        break
    stream = response.extensions["network_stream"]
    while left > 0:
        with _as_the_client_says():
            chunk = stream.read(min(left, AT_ONCE), timeout=silence())
        if not chunk:
            closed = f"The connection was closed {left} bytes before the end."
            raise library.httpx2.RemoteProtocolError(closed)
        left -= len(chunk)
        yield chunk


def _length(response: "Response") -> int:
    """The length of a body that is sent as it is, by HTTP/1.1; 0 of any other."""
    headers = response.headers
    coded = "Transfer-Encoding" in headers or "Content-Encoding" in headers
    if coded or response.http_version != "HTTP/1.1":
        return 0
    if "network_stream" not in response.extensions:
        return 0
    told = headers.get("Content-Length", "")
    return int(told) if told.isdigit() else 0


@contextmanager
def _as_the_client_says() -> Iterator[None]:
    """Errors of the connection as those that the client makes of them."""
    try:
        yield
    except library.httpcore2.TimeoutException as error:
        raise library.httpx2.ReadTimeout(str(error)) from error
    except (library.httpcore2.NetworkError, OSError) as error:
        raise library.httpx2.ReadError(str(error)) from error


HEAD_BYTES = 100_000
"""Bytes taken at once where a header is expected: more than most headers have."""


@dataclass(slots=True)
class _State:
    """What one process knows of a file: no part of what the file is."""

    location: Location = field(default_factory=Location)
    head: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HubSource(HubFile):
    """A `Source` (checkpoint/sources.py) on the Hub: `size` bytes at `path`, as of `commit`."""

    _state: _State = field(default_factory=_State, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The file's path in its repository."""
        return self.path

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop). Raises as `stream`."""
        head = self._state.head
        if 0 <= start <= stop <= len(head):
            return head[start:stop]
        found = []
        with closing(self.stream(start, stop)) as chunks:
            for chunk in chunks:
                silence()  # a Hub that drips is not silent, and too slow all the same
                found.append(chunk)
        return b"".join(found)

    def stream(self, start: int, stop: int, *, sleep: Sleep = time.sleep) -> Bytes:
        """Yield exactly the bytes [start, stop) as they arrive.

        A connection that breaks is taken up again at the byte where it broke. Raises
        SourceChanged (gone, or not what was listed), GatedTeacher or HubFailure.
        """
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"[{start}, {stop}) is no range of {self.path}: {self.size} bytes")
        patience = Patience(sleep)
        with self._errors():
            while start < stop:
                with patience, closing(self._state.location.open(self, start, stop)) as response:
                    at = start
                    for chunk in body(response):
                        start += len(chunk)
                        if start > stop:
                            raise self.changed("more bytes came than were asked for")
                        patience.restore()
                        yield chunk
                    if start == at:
                        raise self.changed(f"it ends at byte {start} of {self.size}")

    def keep_head(self) -> None:
        """Remember the file's beginning, or all of a small one, until `drop_head`.

        Of a safetensors file as much as its header takes. Raises as `stream`.
        """
        head = self.read(0, min(HEAD_BYTES, self.size))
        if self.path.endswith(".safetensors"):
            end = 8 + int.from_bytes(head[:8], "little")
            # A header that claims more is refused by whoever parses it.
            if len(head) < end <= min(self.size, HEADER_LIMIT):
                head += self.read(len(head), end)
        self._state.head = head

    def drop_head(self) -> None:
        """Forget what `keep_head` remembered."""
        self._state.head = b""

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """As `hub_errors`; but what was there when it was listed, and is not now, has changed."""
        try:
            with hub_errors(self.repo_id, self.path):
                yield
        except (TeacherNotFound, FileNotInModel) as error:
            raise SourceChanged(
                f"{self.path!r} of {self.repo_id!r} is no longer on the Hub, or this token may "
                "not see it.",
                value=self.repo_id,
                fix="Name another revision; for a private model set HF_TOKEN.",
            ) from error
