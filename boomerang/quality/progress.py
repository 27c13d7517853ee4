"""How far a part of measuring is, said now and then."""

import time

from boomerang.processes.reporting import Reporter

SAID_EVERY = 5.0
"""Seconds between two events that only say how far something is."""


class Progress:
    """Says at once and then every few seconds how much of a part is done, as events of one name.

    `eta_s` of an event is how many seconds the rest takes at the pace so far; null where there is
    none yet.
    """

    def __init__(self, report: Reporter, event: str, unit: str) -> None:
        self.report, self.event, self.unit = report, event, unit
        self.said, self.before, self.done = float("-inf"), 0.0, 0.0
        self.began = time.monotonic()

    def __call__(self, done: float, of: float, **more: float) -> None:
        """So much of so much. Raises Stopped where the process was asked to stop."""
        self.report.check()
        self.done, now = done, time.monotonic()
        if now - self.said < SAID_EVERY and done < of:
            return
        self.said, here = now, done - self.before
        left = (now - self.began) / here * max(0.0, of - done) if here > 0 else None
        eta_s = None if left is None else round(left, 1)
        self.report(self.event, **{self.unit: done}, of=of, **more, eta_s=eta_s)

    def resume(self) -> None:
        """Something else was done in between, and says nothing of this one's pace."""
        self.before, self.began = self.done, time.monotonic()


class Choosing(Progress):
    """How much of what a choice of an order may cost is spent, in members on all of its text."""

    def __init__(self, report: Reporter) -> None:
        super().__init__(report, "choosing", "spent")
        self.looked = 0

    def __call__(self, done: float, of: float, **more: float) -> None:
        """After each member of each batch."""
        self.looked += 1
        super().__call__(round(done, 2), round(of, 2), looked=self.looked, **more)
