"""What every look for lost jobs does: it counts losses, waits, and sends a job once."""

from dataclasses import dataclass

from boomerang.catalog.base import Attempts, Sent
from boomerang.catalog.database import Session
from boomerang.catalog.leases import died, know_leases, lost_leases
from boomerang.catalog.setbacks import Limits, Setback, again, later

_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look for what nobody holds; `most` losses of a worker in a row are enough."""

    session: Session
    patience: float
    most: int

    def __post_init__(self) -> None:
        know_leases(self.session)

    @property
    def _enough(self) -> str:
        return f"its worker was lost {self.most} times"

    def _lost(self, row: Attempts) -> tuple[float | None, str]:
        """Count the loss of a worker: seconds until the next attempt, if any, and what is said."""
        wait = again(row, Setback.DIED, self.session.now(), Limits(self.most, 0.0))
        return wait, self._enough if wait is None else later("its worker was lost", wait)

    def finished(self) -> None:
        """Forget the leases that are left of whoever died between the last change and the release.

        They ran out, and what they are of was looked at before: it is no job any more. The next
        one of the same name would count a loss that was none.
        """
        for subject in sorted(lost_leases(self.session)):
            if subject.partition(":")[0] in ("student", "family"):
                died(self.session, subject)

    def _due(self, row: Attempts) -> bool:
        now = self.session.now()
        if row.due is None:
            return self._late(row)
        if now < row.due:
            return False
        row.due, row.sends, row.sent = None, 0, now
        return True

    def _late(self, row: Sent) -> bool:
        """Whether a job that was sent must be sent again, as nobody took it."""
        now = self.session.now()
        if now - row.sent < min(self.patience * 2**row.sends, _LONGEST_WAIT):
            return False
        row.sends, row.sent = row.sends + (1 if row.sent else 0), now
        return True
