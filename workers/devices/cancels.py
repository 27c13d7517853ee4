"""What this process works on, and whether somebody asked that no more is done of it.

Each holder would ask twice a second for itself, which was most of what workers asked a catalog; so
whoever asks first asks for all.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from boomerang.catalog.catalog import Catalog

SECONDS = 0.4
"""How long an answer is good: less than a holder waits between its questions."""


@dataclass(eq=False)
class _Hold:
    subject: str
    over: bool = False


class Cancels:
    """The students and families whose leases this process holds. Safe to use from many threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._lock = catalog, threading.Lock()
        self._holds: set[_Hold] = set()
        self._asked: float | None = None

    @contextmanager
    def watching(self, subject: str) -> Iterator[Callable[[], bool]]:
        """Whether what a lease is of was cancelled since, or half a second ago at most.

        It may be asked during the block, and raises what the database raises.
        """
        mine = _Hold(subject)
        with self._lock:
            self._holds.add(mine)
            self._asked = None
        try:
            yield lambda: self._is_over(mine)
        finally:
            with self._lock:
                self._holds.discard(mine)

    def _is_over(self, mine: _Hold) -> bool:
        # Nobody waits for another's question: a connection that hangs is one holder's alone.
        if holds := self._due():
            over = self._catalog.cancelled({hold.subject for hold in holds})
            for hold in holds:
                hold.over = hold.subject in over
        return mine.over

    def _due(self) -> tuple[_Hold, ...]:
        """All holds, where it is time to ask; the next to come by asks later."""
        with self._lock:
            now = time.monotonic()
            if self._asked is not None and now - self._asked < SECONDS:
                return ()
            self._asked = now
            return tuple(self._holds)
