"""What goes wrong on purpose, and a record of what was asked: an ASGI layer around the Hub."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
CONTROL = ("/faults", "/requests", "/traffic", "/history/")
"""What is asked of the Hub itself, in control.py: neither recorded nor disturbed."""


@dataclass
class Fault:
    """`status` answers with it; without one the connection breaks in the middle of the body.

    Applies to the next `times` requests whose `METHOD /path` matches `pattern`. With `status` 0
    the true answer is given, with other `headers`; `asking` replaces headers of the request. With
    `over` nothing is said until that is set. With `lost` all is done as asked, and then it answers
    `status` or breaks the connection before a word; with `cut_after` the connection breaks when so
    many bytes of the request's body were read; with `rate` the answer has so many bytes a second.
    """

    pattern: str
    status: int | None = None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    asking: dict[str, str | None] = field(default_factory=dict)
    over: threading.Event | None = None
    lost: bool = False
    cut_after: int | None = None
    rate: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


class Dropped(Exception):
    """The connection is closed here."""


class Layer:
    """Records each request, applies faults, and keeps %2F in paths from being decoded."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.faults: list[Fault] = []
        self.asked: list[Asked] = []
        self.latency = 0.0
        self.stalled = 0
        self.sent = 0
        self.control: Any = None

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        raw = scope["raw_path"].decode().split("?")[0]
        if self.control is not None and raw.startswith(CONTROL):
            await self.control(scope, receive, send)
            return
        # A revision such as refs/pr/1 is one segment, sent as refs%2Fpr%2F1.
        path = "%2F".join(unquote(part) for part in re.split("%2F", raw, flags=re.I))
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        asked = Asked(scope["method"], path, headers)
        self.asked.append(asked)
        fault = self._fault(asked)
        await asyncio.sleep(self.latency)
        # uvicorn's own way to send belongs to its connection, which nothing else here could break.
        transport = send.__self__.transport  # type: ignore[attr-defined]
        send = self._counted(send)
        if fault is not None and fault.over is not None:
            self.stalled += 1
            while not fault.over.is_set():
                await asyncio.sleep(0.05)
            fault = None
        scope = scope | {"path": path}
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.rate is not None:
            await self.app(scope, receive, _slowed(send, fault.rate))
        elif fault.cut_after is not None:
            await self.app(scope, _cut(receive, fault.cut_after, transport), send)
        elif fault.lost:
            await self.app(scope, receive, _unsaid)
            if fault.status is None:
                await _break(receive, transport)
            else:
                await _refuse(send, fault)
        elif fault.status == 0:
            changed = scope | {"headers": _asking(scope["headers"], fault.asking)}
            await self.app(changed, receive, _told(send, fault.headers))
        elif fault.status is None:
            await self.app(scope, receive, _broken(send))
        else:
            await _refuse(send, fault)

    def _counted(self, send: Send) -> Send:
        async def count(message: MutableMapping[str, Any]) -> None:
            self.sent += len(message.get("body", b""))
            await send(message)

        return count

    def _fault(self, asked: Asked) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.pattern, asked.line):
                fault.times -= 1
                return fault
        return None


async def _refuse(send: Send, fault: Fault) -> None:
    extra = [(key.encode(), value.encode()) for key, value in fault.headers.items()]
    start = {"type": "http.response.start", "status": fault.status}
    await send(start | {"headers": [(b"content-length", b"0"), *extra]})
    await send({"type": "http.response.body", "body": b""})


async def _unsaid(message: MutableMapping[str, Any]) -> None:
    """Sends nothing."""


async def _break(receive: Receive, transport: asyncio.Transport) -> None:
    """Reset the connection, and wait until the server has seen that: else it would answer 500."""
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _cut(receive: Receive, after: int, transport: asyncio.Transport) -> Receive:
    read = 0

    async def cut() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > after or not message.get("more_body"):
            await _break(receive, transport)
            return {"type": "http.disconnect"}
        return message

    return cut


def _slowed(send: Send, rate: int) -> Send:
    async def slow(message: MutableMapping[str, Any]) -> None:
        body = message.get("body", b"")
        step = max(rate // 10, 1)
        for at in range(0, len(body) - step, step):
            await send(message | {"body": body[at : at + step], "more_body": True})
            await asyncio.sleep(step / rate)
        rest = (len(body) - 1) // step * step if body else 0
        await send(message | {"body": body[rest:]} if "body" in message else message)

    return slow


def _asking(headers: Any, other: dict[str, str | None]) -> list[tuple[bytes, bytes]]:
    kept = [(key, value) for key, value in headers if key.decode().lower() not in other]
    return kept + [(k.encode(), v.encode()) for k, v in other.items() if v is not None]


def _told(send: Send, other: dict[str, str]) -> Send:
    async def tell(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = message | {"headers": _asking(message["headers"], dict(other))}
        await send(message)

    return tell


def _broken(send: Send) -> Send:
    async def cut(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            await send({"type": message["type"], "body": body[: len(body) // 2], "more_body": True})
            raise Dropped
        await send(message)

    return cut
