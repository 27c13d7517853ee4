"""A ByteFile as an HTTP response: ranges, validators, HEAD (RFC 9110, sections 13 and 14)."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from fastapi import Request
from fastapi.responses import Response

from app.errors import problem
from app.serving import ranges
from app.serving.sending import Stream
from boomerang.assembly.bytefile import ByteFile

FRESH = "no-cache, no-transform"
"""Cache-Control of what may change under its address: kept, but asked about each time."""
FOR_EVER = "max-age=31536000, immutable, no-transform"
"""Cache-Control of what its address pins: a commit."""


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
