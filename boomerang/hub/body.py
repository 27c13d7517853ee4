"""The bytes of an answer, straight from its connection once the HTTP client has read the headers.

The client's parser copies every byte several times, which costs half of what a fast network gives.
A body of known length is nothing but its bytes, so they are read from the client's own stream (its
proxy, its TLS, its timeout), which is closed afterwards rather than used again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from boomerang.hub import library
from boomerang.hub.hurry import silence

if TYPE_CHECKING:
    from httpx2 import Response

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
