"""How long the Hub may take: as long as it needs for a worker, for a request a while or not at all.

A job waits and asks again. Somebody who waits for an answer must not be kept waiting by a pause
that the Hub asks for, and the thread that answers must not be held by a Hub that is silent: there
a question fails with HubBusy, which says when to ask again.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from boomerang.errors import HubBusy

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""
LONGEST_REST = 300.0
"""The most seconds that the Hub may ask all of them to leave it alone for."""
AGAIN = 5.0
"""Seconds after which to ask again where the Hub says nothing about it."""


class NeedsHub(Exception):
    """The Hub would have to be asked where that is not allowed: elsewhere, it may be."""


@dataclass(slots=True)
class Hurry:
    """Questions of those who wait: no pauses between them, and an end in time.

    `silence` is for how many seconds it may send nothing. What it asks to be left alone for holds
    for all that share one of these.
    """

    silence: float
    rests_until: float = 0.0

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Questions asked in this context must be answered within so many seconds."""
        token = _hurry.set(_Hurried(self, time.monotonic() + seconds))
        try:
            yield
        finally:
            _hurry.reset(token)


@dataclass(frozen=True, slots=True)
class _Hurried:
    hurry: Hurry | None
    until: float


_hurry: ContextVar[_Hurried | None] = ContextVar("hurry", default=None)


@contextmanager
def without_hub() -> Iterator[None]:
    """A context in which every question to the Hub raises NeedsHub."""
    token = _hurry.set(_Hurried(None, 0.0))
    try:
        yield
    finally:
        _hurry.reset(token)


def silence() -> float:
    """Seconds for which the Hub may send nothing. Raises NeedsHub, or HubBusy where time is up."""
    hurried = _hurry.get()
    if hurried is None:
        return TIMEOUT
    if hurried.hurry is None:
        raise NeedsHub
    now = time.monotonic()
    if now < hurried.hurry.rests_until:
        raise _busy("The Hub asked to be left alone.", hurried.hurry.rests_until - now)
    if now >= hurried.until:
        raise _busy("The Hub takes too long.", AGAIN)
    return min(hurried.hurry.silence, hurried.until - now)


def in_haste(wanted: float | None, *, at_once: bool) -> bool:
    """Whether the next attempt must come at once, as somebody waits for the answer.

    `wanted` are the seconds that the Hub wants to be left alone for, `at_once` says that another
    attempt may succeed without a pause. Raises HubBusy where it would have to wait.
    """
    hurried = _hurry.get()
    if hurried is None or hurried.hurry is None:
        return False
    if wanted is not None:
        rest = min(wanted, LONGEST_REST)
        hurried.hurry.rests_until = time.monotonic() + rest
        raise _busy("The Hub asks to be left alone.", rest)
    if not at_once:
        raise _busy("The Hub does not answer.", AGAIN)
    return True


def _busy(detail: str, seconds: float) -> HubBusy:
    return HubBusy(detail, fix="Ask again later.", retry_after=seconds)
