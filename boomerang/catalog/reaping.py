"""Jobs that nobody holds: found in the catalog, and given out once.

A queue loses jobs: a worker dies after it took one, a server forgets, a message is acknowledged
as a duplicate just before the other holder dies. The catalog does not, so it is what counts; the
queue only rings the bell. Whoever reaps marks what it found as sent in the same transaction, so
that of several reapers only one rings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select, update

from boomerang.catalog.database import Session
from boomerang.catalog.leases import WORK, died, forget_tries, holder_of, tries_of, work_of
from boomerang.catalog.records.states import Fact, Keying, Next, StudentState
from boomerang.catalog.setbacks import Limits, Sent, Setback, Tried, again, later
from boomerang.catalog.store import Store
from boomerang.catalog.stores.measuring import change_measuring
from boomerang.catalog.stores.members import change_fact
from boomerang.catalog.stores.provisional import change_keying
from boomerang.catalog.stores.requests import change_request
from boomerang.catalog.stores.students import change_state
from boomerang.catalog.tables.base import TryRow
from boomerang.catalog.tables.families import (
    FamilyRow,
    MemberRow,
    ProvisionalRow,
    RequestRow,
    StaleRow,
    SweepRow,
)
from boomerang.catalog.tables.students import StudentRow
from boomerang.catalog.transitions import Actor, Measuring

_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Due:
    """A job to send: what, and for which student key or family id (a sweep is for none)."""

    job: Next
    subject: str


class ReapingStore(Store):
    """What was lost, found."""

    def reap(self, patience: float, max_attempts: int) -> tuple[Due, ...]:
        """Find the jobs that nobody holds, and mark them as sent by the caller.

        A job that had a setback, or whose holder's lease ran out, is due after a wait; one that
        waits in a queue is due after `patience` seconds, then after twice as long each time
        (it may just stand behind others). A job that lost its holder `max_attempts` times in a row
        fails.
        """
        with self.db.write() as session:
            return (
                *self._unkeyed(session, patience, max_attempts),
                *self._unfinished(session, patience, max_attempts),
                *self._unverified(session, patience, max_attempts),
                *self._unsettled(session, patience, max_attempts),
                *self._open_requests(session, patience, max_attempts),
                *self._unswept(session, patience),
            )

    def expect_resend(self) -> None:
        """Forget what was sent: the queue is new and empty, so the next reaper sends all again."""
        with self.db.write() as session:
            for table in (ProvisionalRow, StudentRow, FamilyRow, RequestRow, SweepRow, StaleRow):
                session.execute(update(table).values(sent=0.0, sends=0))

    def _unkeyed(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        hashing = ProvisionalRow.state == Keying.HASHING
        for row in session.scalars(select(ProvisionalRow).where(hashing)):
            if holder_of(session, f"provisional:{row.id}") is not None:
                continue
            lost, row.running = row.running, False
            if lost:
                wait = self._count(session, row, most)
                row.reason = _said(wait, most)
                if wait is None:
                    change_keying(session, row, Keying.FAILED, row.reason, Actor.REAPER)
            elif self._due(session, row, patience):
                yield Due("key", row.id)

    def _unfinished(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        open_states = (StudentState.QUEUED.value, StudentState.DISTILLING.value)
        for row in session.scalars(select(StudentRow).where(StudentRow.state.in_(open_states))):
            if holder_of(session, f"student:{row.key}") is not None:
                continue
            if row.cancel:
                reason = "cancelled on request"
                self._become(session, row, StudentState.CANCELLED, reason)
                continue
            lost = died(session, f"student:{row.key}")
            lost = lost or row.state == StudentState.DISTILLING
            if lost:
                wait = self._count(session, row, most)
                state = StudentState.FAILED if wait is None else StudentState.QUEUED
                self._become(session, row, state, _said(wait, most))
            elif self._due(session, row, patience):
                yield Due("distill", row.key)

    def _become(self, session: Session, row: StudentRow, state: StudentState, reason: str) -> None:
        change_state(session, row, state, reason, Actor.REAPER)

    def _unverified(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        asked = select(StudentRow).where(
            StudentRow.state == StudentState.READY, StudentRow.verify.is_not(None)
        )
        for row in session.scalars(asked):
            if holder_of(session, f"student:{row.key}") is not None:
                continue
            lost = died(session, f"student:{row.key}")
            if lost:
                wait = self._count(session, row, most)
                row.verify = None if wait is None else row.verify
                told = {"reason": _said(wait, most), "again_in": wait}
                session.note("unverified", told, student=row.key)
            elif self._due(session, row, patience):
                yield Due("distill", row.key)

    def _unswept(self, session: Session, patience: float) -> Iterator[Due]:
        due = [self._late(session, row, patience) for row in session.scalars(select(SweepRow))]
        if any(due):
            yield Due("sweep", "")

    def _unsettled(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        statement = select(FamilyRow).join(StudentRow, StudentRow.key == FamilyRow.student)
        statement = statement.where(
            StudentRow.state == StudentState.READY, FamilyRow.settled.is_(False)
        )
        for row in session.scalars(statement):
            if holder_of(session, f"family:{row.id}") is not None:
                continue
            lost = died(session, f"family:{row.id}")
            lost = lost or row.measuring == Fact.RUNNING
            if row.cancel:
                reason = "cancelled on request"
                change_measuring(session, row, Measuring.FAILED, reason, Actor.REAPER)
            elif lost:
                wait = self._count(session, row, most)
                state = Measuring.FAILED if wait is None else Measuring.WAITING
                said = _said(wait, most)
                change_measuring(session, row, state, said, Actor.REAPER)
            elif self._due(session, row, patience):
                yield Due("measure", row.id)

    def _open_requests(self, session: Session, patience: float, most: int) -> Iterator[Due]:
        moved = self._lost_members(session, most) | self._to_try_again(session)
        families = self._stale(session, patience, most, moved)
        statement = select(RequestRow, FamilyRow).join(FamilyRow, FamilyRow.id == RequestRow.family)
        statement = statement.where(
            RequestRow.state.in_((Fact.NO.value, Fact.RUNNING.value)),
            FamilyRow.chosen.is_not(None),
            FamilyRow.cancel.is_not(True),
        )
        for request, family in session.execute(statement):
            if family.id in moved:
                request.sent, request.sends = 0.0, 0
            if self._died_settling(session, request, family.id, most):
                continue
            if family.settled and self._due(session, request, patience):
                families.add(family.id)
        yield from (Due("settle", family) for family in sorted(families))

    def _stale(self, session: Session, patience: float, most: int, moved: set[str]) -> set[str]:
        """The families that have something to be published again, once they are settled."""
        families: set[str] = set()
        there = (MemberRow.family == StaleRow.family) & (MemberRow.repo == StaleRow.repo)
        statement = select(StaleRow, MemberRow).join(MemberRow, there)
        statement = statement.join(FamilyRow, FamilyRow.id == StaleRow.family).where(
            MemberRow.published == Fact.YES.value,
            FamilyRow.settled.is_(True),
            FamilyRow.chosen.is_not(None),
            FamilyRow.cancel.is_not(True),
        )
        for row, member in session.execute(statement).all():
            subject = work_of("published", member.digest)
            if holder_of(session, subject) is not None:
                continue
            if died(session, subject):
                wait = self._count(session, tries_of(session, subject), most)
                if wait is None:
                    said = _said(wait, most)
                    change_fact(session, member, "published", Fact.YES, said, Actor.REAPER)
                    forget_tries(session, subject)
                    session.delete(row)
                    continue
            tried = session.get(TryRow, subject)
            if tried is not None and tried.due is not None:
                continue
            if row.family in moved:
                row.sent, row.sends = 0.0, 0
            if self._late(session, row, patience):
                families.add(row.family)
        return families

    def _lost_members(self, session: Session, most: int) -> set[str]:
        """Have members whose worker was lost tried again later; return their families."""
        families: set[str] = set()
        for fact in WORK:
            under_way = select(MemberRow).where(getattr(MemberRow, fact) == Fact.RUNNING.value)
            waits: dict[str, float | None] = {}
            for row in session.scalars(under_way).all():
                subject = work_of(fact, row.digest)
                if holder_of(session, subject) is not None:
                    continue
                if subject not in waits:
                    died(session, subject)
                    waits[subject] = self._count(session, tries_of(session, subject), most)
                wait = waits[subject]
                state, said = Fact.FAILED if wait is None else Fact.NO, _said(wait, most)
                change_fact(session, row, fact, state, said, Actor.REAPER)
                families.add(row.family)
        return families

    def _count(self, session: Session, row: Tried, most: int) -> float | None:
        """Count the loss of a worker: seconds until the next attempt, None where it was enough."""
        return again(row, Setback.DIED, session.now(), Limits(most, 0.0))

    def _to_try_again(self, session: Session) -> set[str]:
        """The families that have a member whose time to be tried again has come."""
        due = select(TryRow).where(TryRow.due <= session.now())
        digests = []
        for row in session.scalars(due).all():
            row.due = None
            digests.append(row.subject.partition(":")[2])
        found = select(MemberRow.family).where(MemberRow.digest.in_(digests))
        return set(session.scalars(found))

    def _died_settling(self, session: Session, request: RequestRow, family: str, most: int) -> bool:
        """Whether whoever looks after a family's requests dies at it: it waits, or is given up."""
        subject = f"settle:{family}"
        if died(session, subject):
            self._count(session, tries_of(session, subject), most)
        row = session.get(TryRow, subject)
        if row is None or row.attempts < most:
            return row is not None and row.due is not None
        change_request(session, request, Fact.FAILED, _said(None, most), Actor.REAPER)
        return True

    def _due(self, session: Session, row: Tried, patience: float) -> bool:
        now = session.now()
        if row.due is None:
            return self._late(session, row, patience)
        if now < row.due:
            return False
        row.due, row.sends, row.sent = None, 0, now
        return True

    def _late(self, session: Session, row: Sent, patience: float) -> bool:
        """Whether a job that was sent must be sent again, as nobody took it."""
        now = session.now()
        if now - row.sent < min(patience * 2**row.sends, _LONGEST_WAIT):
            return False
        row.sends, row.sent = row.sends + (1 if row.sent else 0), now
        return True


def _said(wait: float | None, most: int) -> str:
    """What is said of something whose worker was lost: when it is tried again, if it is."""
    if wait is None:
        return f"its worker was lost {most} times"
    return later("its worker was lost", wait)
