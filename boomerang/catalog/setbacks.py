"""Setbacks: how long a job waits before its retry (the backoff), and when it has had enough.

Two kinds are told apart. Something outside is away (the Hub, the database, a network): the job
waits until it is back, for at most so long. Or what did the work died without a reason of its own
(killed by the kernel, an operator, a machine that went): it is tried again, so many times in a row
with nothing achieved in between.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from boomerang.processes import tally
from boomerang.processes.trace import current
from boomerang.retries import backoff, jittered

if TYPE_CHECKING:
    # Settings know the limits, and load no database for that.
    from boomerang.catalog.base import Attempts

_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 300.0
_SLACK_SECONDS = 600.0
"""How long an attempt may take to find that what it needs is still away: a job is sent, teachers
are loaded, a Hub is asked several times."""


class Setback(StrEnum):
    """Why work must be done again."""

    OUTSIDE = "something outside is away"
    DIED = "what did it died"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is put up with: `attempts` in a row that died, `seconds` with something away."""

    attempts: int
    seconds: float


def again(row: "Attempts", kind: Setback, now: float, limits: Limits) -> float | None:
    """Count a setback: seconds until the next attempt, None where there shall be none.

    The wait is drawn from the later half of what `retries` says, and kept in `due`.
    """
    tally.add("setbacks", kind.name.lower())
    row.due = None
    worked = row.waited is not None and now > row.waited + _SLACK_SECONDS
    if row.waited is None or worked:
        # It has worked since: what is away now is away anew.
        row.away_since = None
    if kind is Setback.DIED or worked:
        # Work that achieves nothing, and always ends so, would have no end.
        row.attempts += 1
        if row.attempts >= limits.attempts:
            row.parked = True
            return None
    if kind is Setback.DIED:
        wait = backoff(row.attempts, _FIRST_SECONDS, _LONGEST_SECONDS)
    else:
        row.away_since = now if row.away_since is None else row.away_since
        away = now - row.away_since
        if away >= limits.seconds:
            return None
        # As long as it has been away already: the waits double.
        wait = min(max(away, _FIRST_SECONDS), _LONGEST_SECONDS)
    wait = jittered(wait)
    row.due = row.waited = now + wait
    return wait


def achieved(row: "Attempts") -> None:
    """Something was achieved: the next setback is the first one."""
    row.attempts, row.away_since, row.due, row.parked = 0, None, None, None


def afresh(row: "Attempts", now: float) -> None:
    """Somebody wants it anew, as if nobody had tried yet; the caller sends the job."""
    achieved(row)
    row.sent, row.sends = now, 0
    row.trace = current() or row.trace


def later(reason: str, wait: float) -> str:
    """What is said of something that is tried again."""
    return f"{reason.rstrip('.')}; again in {wait:.0f} s"


def gave_up(reason: str, limits: Limits) -> str:
    """What is said of something that was tried again, and is no more."""
    often = f"{limits.attempts} times in a row, or for {limits.seconds:.0f} s"
    return f"{reason.rstrip('.')} ({often})"
