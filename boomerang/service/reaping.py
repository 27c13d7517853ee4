"""Jobs that nobody holds: found in the catalog, and given out once.

A queue loses jobs: a worker dies after it took one, a server forgets, a message is acknowledged
as a duplicate just before the other holder dies. The catalog does not, so it is what counts; the
queue only rings the bell. Whoever reaps marks what it found as sent in the same transaction, so
that of several reapers only one rings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from boomerang.service.leases import holder_of
from boomerang.service.members import change_measuring
from boomerang.service.models import FamilyRow, ProvisionalRow, StudentRow, SweepRow, WantRow
from boomerang.service.provisional import change_keying
from boomerang.service.records import Fact, Keying, Next, StudentState
from boomerang.service.setbacks import Sent, Tried
from boomerang.service.store import Store
from boomerang.service.students import change_state
from boomerang.service.transitions import Actor, Measuring

_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Due:
    """A job to send: what, and for which student key or family id (a sweep is for none)."""

    job: Next
    subject: str


class ReapingStore(Store):
    """The part of the catalog that finds what was lost."""

    def reap(self, patience: float, max_attempts: int) -> tuple[Due, ...]:
        """Find the jobs that nobody holds, and mark them as sent by the caller.

        A job whose holder's lease ran out is due at once, one that had a setback when it said; one
        that waits in a queue is due after `patience` seconds, then after twice as long each time
        (it may just stand behind others). A job that lost its holder `max_attempts` times in a row
        fails.
        """
        with self.db.write() as session:
            return (
                *self._unkeyed(session, patience, max_attempts),
                *self._unfinished(session, patience, max_attempts),
                *self._unverified(session, patience),
                *self._unsettled(session, patience, max_attempts),
                *self._open_wants(session, patience),
                *self._unswept(session, patience),
            )

    def expect_resend(self) -> None:
        """Forget what was sent: the queue is new and empty, so the next reaper sends all again."""
        with self.db.write() as session:
            for table in (ProvisionalRow, StudentRow, FamilyRow, WantRow, SweepRow):
                session.execute(update(table).values(sent=0.0, sends=0))

    def _unkeyed(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        hashing = ProvisionalRow.state == Keying.HASHING
        for row in session.scalars(select(ProvisionalRow).where(hashing)):
            if holder_of(self.db, session, f"provisional:{row.id}") is not None:
                continue
            lost, row.running = row.running, False
            if lost and row.attempts + 1 >= most:
                reason = f"its worker was lost {most} times"
                change_keying(self.db, session, row, Keying.FAILED, reason, Actor.REAPER)
            elif self._due(session, row, lost, patience):
                yield Due("key", row.id)

    def _unfinished(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        open_states = (StudentState.QUEUED.value, StudentState.DISTILLING.value)
        for row in session.scalars(select(StudentRow).where(StudentRow.state.in_(open_states))):
            if holder_of(self.db, session, f"student:{row.key}") is not None:
                continue
            if row.cancel:
                reason = "cancelled on request"
                self._become(session, row, StudentState.CANCELLED, reason)
                continue
            lost = row.state == StudentState.DISTILLING
            if lost and row.attempts + 1 >= most:
                reason = f"its worker was lost {most} times"
                self._become(session, row, StudentState.FAILED, reason)
            elif self._due(session, row, lost, patience):
                if lost:
                    reason = "its worker was lost"
                    self._become(session, row, StudentState.QUEUED, reason)
                yield Due("distill", row.key)

    def _become(self, session: Session, row: StudentRow, state: StudentState, reason: str) -> None:
        change_state(self.db, session, row, state, reason, Actor.REAPER)

    def _unverified(self, session: Session, patience: float) -> Iterator[Due]:
        asked = select(StudentRow).where(
            StudentRow.state == StudentState.READY, StudentRow.verify.is_not(None)
        )
        for row in session.scalars(asked):
            held = holder_of(self.db, session, f"student:{row.key}") is not None
            if not held and self._due(session, row, False, patience):
                yield Due("distill", row.key)

    def _unswept(self, session: Session, patience: float) -> Iterator[Due]:
        due = [self._late(session, row, patience) for row in session.scalars(select(SweepRow))]
        if any(due):
            yield Due("sweep", "")

    def _unsettled(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        statement = select(FamilyRow).join(StudentRow, StudentRow.key == FamilyRow.student)
        statement = statement.where(
            StudentRow.state == StudentState.READY,
            FamilyRow.settled.is_(False),
        )
        for row in session.scalars(statement):
            if holder_of(self.db, session, f"family:{row.id}") is not None:
                continue
            lost = row.measuring == Fact.RUNNING
            if row.cancel or (lost and row.attempts + 1 >= most):
                reason = f"its worker was lost {most} times"
                reason = "cancelled on request" if row.cancel else reason
                change_measuring(self.db, session, row, Measuring.FAILED, reason, Actor.REAPER)
            elif self._due(session, row, lost, patience):
                if lost:
                    reason = "its worker was lost"
                    change_measuring(self.db, session, row, Measuring.WAITING, reason, Actor.REAPER)
                yield Due("measure", row.id)

    def _open_wants(self, session: Session, patience: float) -> Iterator[Due]:
        statement = select(WantRow, FamilyRow).join(FamilyRow, FamilyRow.id == WantRow.family)
        statement = statement.where(
            WantRow.state.in_((Fact.NO.value, Fact.RUNNING.value)),
            FamilyRow.chosen.is_not(None),
            FamilyRow.cancel.is_not(True),
        )
        families: set[str] = set()
        for want, family in session.execute(statement):
            if family.settled and self._due(session, want, False, patience):
                families.add(family.id)
        yield from (Due("settle", family) for family in sorted(families))

    def _due(self, session: Session, row: Tried, lost: bool, patience: float) -> bool:
        now = self.db.now(session)
        if lost:
            row.attempts, row.due = row.attempts + 1, None
        elif row.due is None:
            return self._late(session, row, patience)
        elif now < row.due:
            return False
        row.due, row.sends, row.sent = None, 0, now
        return True

    def _late(self, session: Session, row: Sent, patience: float) -> bool:
        """Whether a job that was sent must be sent again, as nobody took it."""
        now = self.db.now(session)
        if now - row.sent < min(patience * 2**row.sends, _LONGEST_WAIT):
            return False
        row.sends, row.sent = row.sends + (1 if row.sent else 0), now
        return True
