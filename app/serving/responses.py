"""A ByteFile as an HTTP response: ranges, validators, HEAD (RFC 9110, sections 13 and 14).

A Range header is answered, refused or ignored:

- One range, or several that overlap or touch: their union as one part.
- Several apart: a part for each, in the order in which they were asked for.
- None that reaches into the file, or more than MOST apart: refused (416).
- Anything that is not the grammar's `bytes=…`, and any range of an empty file: ignored.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto

from fastapi import Request
from fastapi.responses import Response

from app.errors import problem
from app.security.allowances.allowed import allowance_of
from app.security.keys import who
from app.serving.sending import Span, Stream
from app.serving.served import Served
from boomerang.assembly.bytefile import ByteFile

MOST = 64
"""Ranges in one header; more are an attack, or a client that should ask twice (14.2)."""

_HUGE = 1 << 62
_UNIT = re.compile(r"bytes=", re.IGNORECASE)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_TAG = re.compile(r'(W/)?"([^"]*)"')

FRESH = "no-cache, no-transform"
"""Cache-Control of what may change under its address: kept, but asked about each time."""
FOR_EVER = "max-age=31536000, immutable, no-transform"
"""Cache-Control of what its address pins: a commit."""
PRIVATE = f"private, {FRESH}"
"""Cache-Control of what a session is given: caches on the way know nothing of its cookie, as they
do of a key, and whoever uses the browser next is to show one of its own."""


class Refused(Enum):
    """Why a Range header gets 416."""

    OUTSIDE = auto()
    TOO_MANY = auto()


async def serve(
    request: Request, file: ByteFile, *, etag: str, media_type: str = "application/octet-stream",
    headers: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """Answer GET or HEAD with a file or the ranges of it that are asked for.

    The bytes are read while they are sent: see Stream for what happens when that fails. Raises
    QuotaSpent where the key of the request has had its bytes of today.
    """
    shown = {"Accept-Ranges": "bytes", "ETag": f'"{etag}"', "Cache-Control": FRESH}
    shown |= headers or {}
    if getattr(request.state, "session", None) is not None:
        shown["Cache-Control"] = PRIVATE
    given = request.headers
    # The order of section 13.2.2. Without a Last-Modified, dates are not looked at.
    if "if-match" in given and not names(given["if-match"], etag, strong=True):
        return problem(412, "precondition", "Another version", "If-Match names another version.",
                       value=given["if-match"], fix="Download it anew.", headers=shown)  # fmt: skip
    if "if-none-match" in given and names(given["if-none-match"], etag, strong=False):
        return Response(status_code=304, headers=shown)
    # Only GET has ranges (section 14.2): HEAD tells about the whole.
    wanted = None
    if request.method == "GET" and same(given.get("if-range"), etag):
        wanted = asked(given.get("range"), file.size)
    if isinstance(wanted, Refused):
        return _refused(wanted, file, given["range"], shown)
    if request.method == "HEAD":
        shown["Content-Length"] = str(file.size)
        return Response(headers=shown, media_type=media_type)
    served: Served | None = getattr(request.app.state, "served", None)
    if served is not None:
        await served.check(who(request).id, allowance_of(request).bytes_per_day)
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


def _refused(why: Refused, file: ByteFile, header: str, shown: dict[str, str]) -> Response:
    detail = f"The file has {file.size} bytes."
    if why is Refused.TOO_MANY:
        detail = f"More than {MOST} ranges at once."
    return problem(416, "range", "Range not satisfiable", detail, value=header[:200],
                   fix="Ask for a range within the file.",
                   headers=shown | {"Content-Range": f"bytes */{file.size}"})  # fmt: skip


def _multipart(
    spans: Sequence[Span], size: int, media_type: str, boundary: str
) -> Iterable[Span | bytes]:
    """The body of section 14.6: bytes as they are, and spans of the file."""
    for start, stop in spans:
        yield (
            f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: bytes {start}-{stop - 1}/{size}\r\n\r\n"
        ).encode()
        yield start, stop
    yield f"\r\n--{boundary}--\r\n".encode()


def asked(header: str | None, size: int) -> tuple[Span, ...] | Refused | None:
    """The spans that a Range header asks for; None for one that is to be ignored."""
    unit = _UNIT.match(header or "")
    if header is None or unit is None or size == 0:
        return None
    specs = [spec.strip(" \t") for spec in header[unit.end() :].split(",")]
    wanted: list[tuple[int | None, int | None]] = []
    for spec in filter(None, specs):
        match = _SPEC.fullmatch(spec)
        if match is None or spec == "-":
            return None
        first, last = _number(match[1]), _number(match[2])
        if first is not None and last is not None and last < first:
            return None
        wanted.append((first, last))
    if not wanted:
        return None
    found = [span for first, last in wanted if (span := _span(first, last, size))]
    if not found:
        return Refused.OUTSIDE
    joined = coalesced(found)
    return joined if len(joined) <= MOST else Refused.TOO_MANY


def coalesced(spans: list[Span]) -> tuple[Span, ...]:
    """The same bytes as spans that neither overlap nor touch, each where it was asked for first."""
    order = sorted(range(len(spans)), key=lambda i: spans[i])
    groups: list[tuple[int, int, int]] = []
    for i in order:
        start, stop = spans[i]
        if groups and start <= groups[-1][2]:
            place, begun, ended = groups[-1]
            groups[-1] = (min(place, i), begun, max(ended, stop))
        else:
            groups.append((i, start, stop))
    return tuple((start, stop) for _, start, stop in sorted(groups))


def _number(digits: str) -> int | None:
    """A position; any number beyond every file is as good as another."""
    if not digits:
        return None
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else _HUGE


def _span(first: int | None, last: int | None, size: int) -> Span | None:
    if first is None:
        length = min(last or 0, size)
        return (size - length, size) if length else None
    if first >= size:
        return None
    return first, size if last is None else min(last + 1, size)


def names(header: str, etag: str, *, strong: bool) -> bool:
    """Whether If-Match (`strong`) or If-None-Match names this tag, which is a strong one (8.8.3.2).

    A tag without quotes, as some clients send it, is read as if it had them.
    """
    if header.strip() in ("*", etag):
        return True
    return any(tag == etag and not (strong and weak) for weak, tag in _TAG.findall(header))


def same(if_range: str | None, etag: str) -> bool:
    """Whether If-Range lets a range be sent: absent, or this very tag (13.1.5).

    A date never does, since there is no Last-Modified, and neither does a weak tag.
    """
    return if_range is None or if_range.strip() == f'"{etag}"'
