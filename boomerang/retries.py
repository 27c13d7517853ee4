"""What passes by itself and what does not, and how long to wait before it is tried again.

The one place that says so: workers, the client of the Hub and the client of the service ask here.
Classes of libraries are known by their names, so that asking loads none of them.
"""

import errno
import random
from collections.abc import Callable
from enum import StrEnum

from boomerang.errors import BoomerangError, no_room

TOO_MANY, UNAVAILABLE = 429, 503
STATUSES = frozenset({408, TOO_MANY, 500, 502, UNAVAILABLE, 504})
"""Answers of a server that is busy or broken: the same question may be answered later."""
CONFLICTS = frozenset({409, 412})
"""Answers of a Hub on which somebody else changed the same: it may succeed, done anew."""

_AWAY = frozenset({
    "builtins.ConnectionError", "builtins.TimeoutError",
    "httpx.TransportError", "httpx2.TransportError",
    "kombu.exceptions.OperationalError",
    "psycopg.OperationalError",
    "redis.exceptions.ConnectionError", "redis.exceptions.TimeoutError",
    "sqlalchemy.exc.InterfaceError", "sqlalchemy.exc.OperationalError",
    "sqlalchemy.exc.TimeoutError",
})  # fmt: skip
_FLEETING = frozenset({
    *(errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EREMOTEIO),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH),
    *(errno.EAGAIN, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOLCK),
})  # fmt: skip
"""What a folder of another machine says while that is away, a network while there is no way, and
a machine that has no more memory, processes, open files or locks to give just now.
"""


_WRONG_STATEMENT = 1
"""SQLITE_ERROR: a table that is not there, say. SQLite has one kind of error for that and for what
passes (https://sqlite.org/rescode.html)."""


class Fate(StrEnum):
    """What becomes of work that an error ended."""

    LATER = "what it needs is away"
    NEVER = "it would be the same again"
    UNKNOWN = "nobody has thought of it"


def fate(error: BaseException) -> Fate:
    """What an error says of another attempt.

    LATER: database, queue, Hub, network folder or room on a disk are away. NEVER: a refusal, a
    damaged checkpoint, a bad recipe, a file that is not there. UNKNOWN is a fault of the program:
    as likely to be the same again as not, so it is tried a few times, as what kills its process is.
    """
    if isinstance(error, BoomerangError):
        return Fate.LATER if error.transient else Fate.NEVER
    if getattr(error, "connection_invalidated", False) or no_room(error):
        return Fate.LATER
    if isinstance(error, OSError) and error.errno in _FLEETING:
        return Fate.LATER
    if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == _WRONG_STATEMENT:
        return Fate.UNKNOWN
    names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if names & _AWAY:
        return Fate.LATER
    return Fate.NEVER if isinstance(error, OSError) else Fate.UNKNOWN


def passes(error: BaseException) -> bool:
    """Whether an error is of something outside that is away, and may be back."""
    return fate(error) is Fate.LATER


def draw() -> float:
    """A number from 0 to 1, from which each wait is drawn."""
    return random.random()  # noqa: S311 - nobody gains by guessing when something is tried again


def jittered(seconds: float, drawn: Callable[[], float] | None = None) -> float:
    """A wait between half of `seconds` and all of it.

    What failed together does not come back together: "equal jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/. `drawn` is instead
    of `draw`.
    """
    return seconds * (1 + (drawn or draw)()) / 2


def backoff(failures: int, first: float, longest: float) -> float:
    """Seconds before the next attempt after so many failures in a row: doubled each time."""
    return min(first * 2.0 ** min(failures - 1, 60), longest)


def asked_wait(after: str) -> float | None:
    """The seconds that a Retry-After asks for; None where it says none, or a date."""
    return float(after) if after.isascii() and after.isdigit() else None
