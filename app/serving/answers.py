"""A ByteFile as an HTTP answer: ranges, validators, HEAD (RFC 9110, sections 13 and 14)."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.errors import problem
from app.serving import ranges
from app.serving.zerocopy import EXTENSION
from boomerang.assembly.bytefile import ByteFile, Literal
from boomerang.assembly.stream import BLOCK, Data, Part, Reader
from boomerang.errors import BoomerangError

log = logging.getLogger("boomerang.app")

FRESH = "no-cache, no-transform"
"""Cache-Control of what may change under its address: kept, but asked about each time."""
FOR_EVER = "max-age=31536000, immutable, no-transform"
"""Cache-Control of what its address pins: a commit."""

READERS = 8
"""Threads that wait for disks. They are apart from those that answer questions, so that a disk
that hangs takes no other route with it; what comes from the Hub is waited for without any."""

STALLED = 300.0
"""Seconds that a client may take over each 1 MiB before its answer is broken off."""

_readers = CapacityLimiter(READERS)


class Unreadable(BoomerangError):
    """The disk under a source failed."""

    slug, title = "unreadable", "A file could not be read"


async def serve(
    request: Request,
    file: ByteFile,
    *,
    etag: str,
    media_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer GET or HEAD with a file or the ranges of it that are asked for.

    The bytes are read while they are sent: see Stream for what happens when that fails.
    """
    shown = {"Accept-Ranges": "bytes", "ETag": f'"{etag}"', "Cache-Control": FRESH}
    shown |= headers or {}
    given = request.headers
    # The order of section 13.2.2. Without a Last-Modified, dates are not looked at.
    if "if-match" in given and not ranges.names(given["if-match"], etag, strong=True):
        return problem(412, "precondition", "Another version", "If-Match names another version.",
                       value=given["if-match"], fix="Download it anew.", headers=shown)  # fmt: skip
    if "if-none-match" in given and ranges.names(given["if-none-match"], etag, strong=False):
        return Response(status_code=304, headers=shown)
    # Only GET has ranges (section 14.2): HEAD tells about the whole.
    wanted = None
    if request.method == "GET" and ranges.same(given.get("if-range"), etag):
        wanted = ranges.asked(given.get("range"), file.size)
    if isinstance(wanted, ranges.Refused):
        return _refused(wanted, file, given["range"], shown)
    if request.method == "HEAD":
        shown["Content-Length"] = str(file.size)
        return Response(headers=shown, media_type=media_type)
    if wanted is None:
        return Stream([(0, file.size)], file, 200, shown, media_type)
    if len(wanted) == 1:
        start, stop = wanted[0]
        shown["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
        return Stream(wanted, file, 206, shown, media_type)
    # The boundary depends on nothing but the question, so the same question has the same answer.
    boundary = hashlib.sha256(f"{etag} {wanted}".encode()).hexdigest()[:32]
    parts = _multipart(wanted, file.size, media_type, boundary)
    return Stream(parts, file, 206, shown, f"multipart/byteranges; boundary={boundary}")


def _refused(why: ranges.Refused, file: ByteFile, header: str, shown: dict[str, str]) -> Response:
    detail = f"The file has {file.size} bytes."
    if why is ranges.Refused.TOO_MANY:
        detail = f"More than {ranges.MOST} ranges at once."
    return problem(416, "range", "Range not satisfiable", detail, value=header[:200],
                   fix="Ask for a range within the file.",
                   headers=shown | {"Content-Range": f"bytes */{file.size}"})  # fmt: skip


def _multipart(
    spans: Sequence[ranges.Span], size: int, media_type: str, boundary: str
) -> Iterable[ranges.Span | bytes]:
    """The body of section 14.6: bytes as they are, and spans of the file."""
    for start, stop in spans:
        yield (
            f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
        ).encode()
        yield start, stop
    yield f"\r\n--{boundary}--\r\n".encode()


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
        self,
        body: Iterable[ranges.Span | bytes],
        file: ByteFile,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        self._file = file
        self._body = tuple(body)
        self._size = sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in self._body)
        shown = {**headers, "Content-Length": str(self._size)}
        super().__init__(None, status, shown, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises BoomerangError as long as nothing was sent."""
        reader = Reader(self._parts(), self._size)
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
                more = sent < self._size
                async with asyncio.timeout(STALLED * max(1, count / BLOCK)):
                    await send({**message, "more_body": more})
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

    def _parts(self) -> Iterable[Part]:
        for part in self._body:
            if isinstance(part, bytes):
                yield Literal(part), 0, len(part)
            else:
                yield from self._file.spans(*part)


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
