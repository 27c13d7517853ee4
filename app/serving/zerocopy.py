"""uvicorn's HTTP/1.1 connection with the ASGI extension `http.response.zerocopysend`.

https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send. A part of an open file goes
from the page cache to the socket in the kernel (sendfile), in a thread: several clients are then
served by several cores, and each byte is copied once. Its name for uvicorn is
`--http app.serving.zerocopy:Connection`; under any other server, and over TLS, the extension is
not offered and whoever sends must read.
"""

import asyncio
import errno
import os
import select
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.serving.heads import Bounded

EXTENSION = "http.response.zerocopysend"

SENDERS = 8
"""Threads that send. A client that takes nothing holds none."""

PATIENCE_MS = 20
"""How long a thread waits for a client that takes no more; one that is fast makes room sooner."""

_senders = CapacityLimiter(SENDERS)


class Connection(Bounded):
    """One connection, over which files can be sent."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Offer the extension to the application where bytes go to the socket as they are."""
        super().connection_made(transport)
        if self.scheme == "http":
            self.app = _Offered(self.app, transport)
            # Paused whenever anything is left, so that a file can wait for what is before it.
            transport.set_write_buffer_limits(high=0)


class _Offered:
    """The application, which may send `http.response.zerocopysend` over one connection."""

    def __init__(self, app: ASGIApp, transport: asyncio.Transport) -> None:
        self._app, self._transport = app, transport

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        scope.setdefault("extensions", {})[EXTENSION] = {}
        # The cycle of uvicorn that this request belongs to: it counts what is left of the body.
        cycle: Any = send.__self__  # type: ignore[attr-defined]

        async def sends(message: Message) -> None:
            if message["type"] == EXTENSION:
                await self._file(cycle, message)
            else:
                await send(message)

        return await self._app(scope, receive, sends)

    async def _file(self, cycle: Any, message: Message) -> None:
        """Send `count` bytes of the descriptor `file` from `offset` on; more of the body follows.

        How many of them were sent is left in the message, as `sent`. Raises OSError where the file
        cannot be read, RuntimeError for more than Content-Length.
        """
        message["sent"] = 0
        at, left = message["offset"], message["count"]
        if not message.get("more_body") or left > cycle.expected_content_length:
            raise RuntimeError(f"{left} bytes of a file do not fit into this answer")
        while self._transport.get_write_buffer_size() and not cycle.disconnected:
            await cycle.flow.drain()
            await asyncio.sleep(0)
        if cycle.disconnected:
            return
        # A descriptor of its own: the transport may close its one, and another take the number.
        to = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            while left and not cycle.disconnected:
                sent = await to_thread.run_sync(_push, to, message["file"], at, left,
                                                limiter=_senders)  # fmt: skip
                at, left = at + sent, left - sent
                message["sent"] += sent
                cycle.expected_content_length -= sent
                if left:
                    await _writable(to)
        except (BrokenPipeError, ConnectionResetError):
            # The transport notices too, and tells the application that the client has gone.
            self._transport.abort()
        finally:
            os.close(to)


def _push(to: int, file: int, at: int, count: int) -> int:
    """Send until all is sent or the client takes no more; return how many bytes."""
    sent = 0
    while sent < count:
        try:
            got = os.sendfile(to, file, at + sent, count - sent)
        except BlockingIOError:
            ready = select.poll()
            ready.register(to, select.POLLOUT)
            if not ready.poll(PATIENCE_MS):
                break
            continue
        if not got:
            raise OSError(errno.EIO, "the file is shorter than it was")
        sent += got
    return sent


async def _writable(to: int) -> None:
    """Wait, without a thread, until the client takes more."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(to, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(to)
