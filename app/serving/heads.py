"""uvicorn's HTTP/1.1 connection, which takes no head of a request that is long or never ends.

uvicorn reads a head of any length, and waits for the rest of one as long as its sender likes. A
field of megabytes, or thousands of connections that say a byte now and then, cost their sender
nothing; so here both have an end. Fields that come after a body (RFC 9110, 6.5.1) are not
taken for those of the head.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.errors import NO_SNIFF, problem

HEAD_BYTES = 64 << 10
"""The longest head of a request, or what else of it is no body; browsers and proxies end at 16."""
HEAD_SECONDS = 30.0
"""How long a head may take, and what comes of a body that nobody waits for any more."""


class Bounded(HttpToolsProtocol):
    """One connection, whose requests' heads are short and come soon."""

    _late: asyncio.TimerHandle | None = None
    _refusal: int | None = None
    _in_head, _whole, _moved = False, True, False
    _head, _unread = 0, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request, for some time."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless it is more than a request of sense has before its body."""
        self._moved = False
        super().data_received(data)
        # A field is told once it is whole: until then the parser keeps it, however long it grows.
        self._unread = 0 if self._moved else self._unread + len(data)
        if self._unread > HEAD_BYTES:
            self._refuse(431)
        elif self._late is None and (self._unread or not self._whole):
            self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._whole, self._moved, self._head = True, False, True, 0

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field: of the head, or one that is dropped as it came after the body."""
        if self._in_head:
            super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        """The head has ended, and the request begins to be answered."""
        self._in_head, self._moved = False, True
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all there."""
        self._whole = self._moved = True
        self._stop_waiting()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or what is too long."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._refuse(self._refusal)

    def _count(self, more: int) -> None:
        self._head += more
        if self._head > HEAD_BYTES:
            # The parser stops at an error, and send_400_response is called.
            self._refusal = 431
            raise ValueError("the head of a request is too long")

    def _wait(self) -> None:
        self._stop_waiting()
        self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            # What is being answered goes on, and no more is read of what comes after it.
            self._wait()
        elif self._whole and not self._unread:
            self.transport.close()
        else:
            self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Say so, and hang up: where the next request begins is not known."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        answer = _ANSWERS[status]
        fields = [*self.server_state.default_headers, *answer.raw_headers, *NO_SNIFF,
                  (b"connection", b"close")]  # fmt: skip
        head = b"".join(b"%s: %s\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


_ANSWERS = {
    431: problem(431, "head-too-long", "Too long a head",
                 f"The address and the fields of a request may have {HEAD_BYTES} bytes.",
                 value=HEAD_BYTES, fix="Send fewer or shorter fields."),
    408: problem(408, "too-slow", "Too slow",
                 f"The head of a request may take {HEAD_SECONDS:.0f} seconds.",
                 value=HEAD_SECONDS, fix="Send it at once."),
}  # fmt: skip
