"""A ByteFile as an HTTP answer: ranges, validators, HEAD (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Iterator
from itertools import chain

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.errors import problem
from boomerang.bytefile import ByteFile

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*")


async def serve(
    request: Request,
    file: ByteFile,
    *,
    etag: str,
    media_type: str = "application/octet-stream",
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer GET or HEAD with a file or the range of it that is asked for.

    The first chunk is read before the status is sent, so that a source that has changed is an
    error and not a broken answer. A later failure closes the connection short of Content-Length.
    """
    shown = {"Accept-Ranges": "bytes", "ETag": f'"{etag}"', **(headers or {})}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=shown)
    span = _asked(request, etag, file.size)
    if span is None:
        unsatisfied = {"Content-Range": f"bytes */{file.size}"}
        return problem(416, "range", "Range not satisfiable",
                       f"The file has {file.size} bytes.", value=request.headers.get("range"),
                       fix="Ask for a range within it.", headers=shown | unsatisfied)  # fmt: skip
    start, stop, status = span
    if status == 206:
        shown["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    shown["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=shown, media_type=media_type)
    chunks = file.chunks(start, stop)
    first = await run_in_threadpool(next, chunks, b"")
    body: Iterator[bytes] = chain((first,), chunks)
    return StreamingResponse(body, status, shown, media_type)


def _matches(header: str | None, etag: str) -> bool:
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return etag in tags or "*" in tags


def _asked(request: Request, etag: str, size: int) -> tuple[int, int, int] | None:
    """Start, stop and status; None for a range that lies outside.

    A header that is no single byte range is ignored, as section 14.2 allows.
    """
    # Only GET has ranges (section 14.2): HEAD tells about the whole.
    header = request.headers.get("range", "") if request.method == "GET" else ""
    match = _RANGE.fullmatch(header)
    condition = request.headers.get("if-range")
    if match is None or (not match[1] and not match[2]):
        return 0, size, 200
    if condition is not None and condition.strip('"') != etag:
        return 0, size, 200
    if not match[1]:
        length = min(int(match[2]), size)
        return (size - length, size, 206) if length else None
    start = int(match[1])
    stop = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return 0, size, 200
    return (start, stop, 206) if start < size else None
