"""The arithmetic of ranges and validators (RFC 9110, sections 13 and 14), without any HTTP.

A Range header is answered, refused or ignored:

- One range, or several that overlap or touch: their union as one part.
- Several apart: a part for each, in the order in which they were asked for.
- None that reaches into the file, or more than MOST apart: refused (416).
- Anything that is not the grammar's `bytes=…`, and any range of an empty file: ignored.
"""

import re
from enum import Enum, auto

MOST = 64
"""Ranges in one header; more are an attack, or a client that should ask twice (14.2)."""

Span = tuple[int, int]
"""The bytes [start, stop) of a file."""

_HUGE = 1 << 62
_UNIT = re.compile(r"bytes=", re.IGNORECASE)
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_TAG = re.compile(r'(W/)?"([^"]*)"')


class Refused(Enum):
    """Why a Range header gets 416."""

    OUTSIDE = auto()
    TOO_MANY = auto()


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
