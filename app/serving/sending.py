"""The body of a download: read while it is sent, by whatever way is the shortest."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.serving.served import Served
from app.serving.zerocopy import EXTENSION
from app.watching.requests import SENT
from boomerang.assembly.bytefile import ByteFile, Literal
from boomerang.assembly.stream import BLOCK, Data, Part, Reader
from boomerang.errors import BoomerangError

log = logging.getLogger("boomerang.app")

Span = tuple[int, int]
"""The bytes [start, stop) of a file."""

READERS = 8
"""Threads that wait for disks. They are apart from those that answer questions, so that a disk
that hangs takes no other route with it; what comes from the Hub is waited for without any."""

STALLED = 300.0
"""Seconds that a client may take over each 1 MiB before its answer is broken off."""

_readers = CapacityLimiter(READERS)


class Unreadable(BoomerangError):
    """The disk under a source failed."""

    slug, title = "unreadable", "A file could not be read"


class Stream(Response):
    """Sends a body as it is read, a block at a time, and never reads far ahead of the client.

    A block is read while the one before it is on its way; `send` waits for a client that is slow.
    Long runs of a local file are left to the kernel where the server can (app/serving/zerocopy.py).
    The first block is read before the status is sent, so that a source that has changed is an
    error and no broken answer. A later failure closes the connection short of Content-Length,
    which every client notices. A client that goes away ends the reading, and so does one that is
    there and does not take one block in STALLED seconds.
    """

    def __init__(
        self, body: Iterable[Span | bytes], file: ByteFile, status: int,
        headers: Mapping[str, str], media_type: str,
    ) -> None:  # fmt: skip
        self._file = file
        self._body = tuple(body)
        self._size = sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in self._body)
        shown = {**headers, "Content-Length": str(self._size)}
        super().__init__(None, status, shown, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises BoomerangError as long as nothing was sent."""
        reader = Reader(self._parts(), self._size)
        message: Message = {}
        gone = asyncio.ensure_future(_gone(receive))
        started, sent = False, 0
        try:
            message, count = _body(block := await _next(reader, gone)), len(block)
            if gone.done():
                return
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            started = True
            while not gone.done():
                sent += count
                message["more_body"] = more = sent < self._size
                async with asyncio.timeout(STALLED * max(1, count / BLOCK)):
                    await send(message)
                _count(scope, message.get(SENT, count))
                message = {}
                if not more:
                    return
                # A fast client never makes `send` wait; the others have their turn here.
                await asyncio.sleep(0)
                lent = reader.lend() if EXTENSION in scope.get("extensions", ()) else None
                if lent is None:
                    message, count = _body(block := await _next(reader, gone)), len(block)
                else:
                    message, count = {"type": EXTENSION, **lent}, lent["count"]
        except TimeoutError:
            log.warning("%s: broken off after %d of %d bytes: the client took no block in %g s",
                        scope["path"], sent, self._size, STALLED)  # fmt: skip
        except (BoomerangError, OSError) as error:
            if not started:
                raise
            # Whoever called sees an answer that is not complete, and closes the connection.
            log.error("%s: broken off after %d of %d bytes: %s",
                      scope["path"], sent, self._size, error)  # fmt: skip
        finally:
            gone.cancel()
            reader.close()
            # Of what was broken off, the part that the kernel has sent.
            _count(scope, message.get(SENT, 0))

    def _parts(self) -> Iterable[Part]:
        for part in self._body:
            if isinstance(part, bytes):
                yield Literal(part), 0, len(part)
            else:
                yield from self._file.spans(*part)


def _count(scope: Scope, count: int) -> None:
    """So many bytes were sent, to whoever is behind the request."""
    state = scope.get("state", {})
    served: Served | None = getattr(getattr(scope.get("app"), "state", None), "served", None)
    if served is not None and "who" in state:
        served.add(state["who"].id, count)


def _body(block: Data) -> Message:
    return {"type": "http.response.body", "body": block}


async def _next(reader: Reader, gone: "asyncio.Future[None]") -> Data:
    """The next block, from a thread where a disk has to be waited for; none for a client that left.

    What comes from elsewhere is waited for without a thread. Raises BoomerangError.
    """
    try:
        block = reader.ready()
        while block is None and not gone.done():
            coming = reader.coming()
            if coming is None:
                block = await to_thread.run_sync(reader.wait_here, limiter=_readers)
            else:
                await _either(coming, gone)
                block = reader.ready()
        return block or b""
    except OSError as error:
        raise Unreadable(
            f"The disk says: {error.strerror or error}.",
            value=type(error).__name__,
            fix="Look at the disk of the machine that serves.",
        ) from error


async def _either(coming: "Future[Data]", gone: "asyncio.Future[None]") -> None:
    """Return when something has come, or failed to, or the client has gone."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: "Future[Data]") -> None:
        # Its thread may outlive the server.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(there.set)

    coming.add_done_callback(tell)
    first: list[asyncio.Future[Any]] = [asyncio.ensure_future(there.wait()), gone]
    try:
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    finally:
        first[0].cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
