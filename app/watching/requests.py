"""Every request: its id, its line in the log, its figures.

The id is the header X-Request-ID of who asks, where it may be one, else a new one; the answer has
it, and whatever is done for the request keeps it (boomerang/processes/trace.py).
"""

import logging
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.watching.figures import Figures
from boomerang.processes import trace

log = logging.getLogger("boomerang.app.requests")

HEADER = "X-Request-ID"
SENT = "sent"
"""Where `http.response.zerocopysend` leaves how many bytes of a file the client was really sent."""
OTHER = "other"
"""The route of whatever was answered before one was found; unknown addresses are endless."""
STATIC = "/static"
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", STATIC})
"""What is asked all the time, and is in the log only where it is to be at length."""
_STREAM = b"text/event-stream"


class Watched:
    """ASGI application around all of another, whose every answer passes here."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self.app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, and tell of it once it is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        id_ = trace.taken(Headers(scope=scope).get(HEADER.lower()))
        # Not reset: the server's own line about an error is of this request, too.
        trace.follow(id_)
        scope.setdefault("state", {})["trace"] = id_
        answer = _Answer(send, id_, self._figures)
        self._figures.in_flight.inc()
        try:
            await self.app(scope, receive, answer)
        finally:
            self._figures.in_flight.dec()
            answer.over()
            self._tell(scope, answer)

    def _tell(self, scope: Scope, answer: "_Answer") -> None:
        route, method = route_of(scope), _method(scope)
        who = scope["state"].get("who")
        told = {
            "method": method, "route": route, "path": scope["path"][:200],
            "status": answer.status, "ms": _ms(answer.seconds),
            "first_ms": None if answer.began is None else _ms(answer.began),
            "bytes": answer.bytes, "key": getattr(who, "name", None) or None,
        }  # fmt: skip
        self._figures.answered(method, route, answer.status, answer.began, answer.bytes)
        level = logging.DEBUG if route in _QUIET and answer.status < 500 else logging.INFO
        log.log(level, "%s %s %d", method, route, answer.status, extra=told)


class _Answer:
    """The `send` of one answer, which counts. `status` stays 499 where the client left first."""

    def __init__(self, send: Send, id_: str, figures: Figures) -> None:
        self.status, self.bytes, self.began = 499, 0, None
        self._send, self._figures = send, figures
        self._started, self._streams = time.perf_counter(), False
        self._header = (HEADER.lower().encode(), id_.encode())

    status: int
    bytes: int
    began: float | None
    """Seconds until the answer began."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begin(message)
        await self._send(message)
        if message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        elif message["type"].endswith("zerocopysend"):
            self.bytes += message.get(SENT, message["count"])

    def _begin(self, message: MutableMapping[str, Any]) -> None:
        self.began, self.status = self.seconds, message["status"]
        headers = list(message.get("headers", ()))
        message["headers"] = [*headers, self._header]
        kind = next((value for name, value in headers if name.lower() == b"content-type"), b"")
        if kind.startswith(_STREAM):
            self._streams = True
            self._figures.streams.inc()

    def over(self) -> None:
        """The answer has ended."""
        if self._streams:
            self._figures.streams.dec()

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return time.perf_counter() - self._started


def route_of(scope: Scope) -> str:
    """The template of the route that answered; a few words for what has none."""
    template = str(getattr(scope.get("route"), "path", OTHER))
    return STATIC if template.startswith("/static") else template


_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})


def _method(scope: Scope) -> str:
    return str(scope["method"]) if scope["method"] in _METHODS else OTHER


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)
