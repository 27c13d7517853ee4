"""Jobs that nobody holds: found in the catalog, and given out once.

A queue loses jobs: a worker dies after it took one, a server forgets, a message is acknowledged
as a duplicate just before the other holder dies. The catalog does not, so it is what counts; the
queue only rings the bell. Whoever reaps marks what it found as sent in the same transaction, so
that of several reapers only one rings.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import inspect, select, update

from boomerang.catalog.hooks.following import end_following
from boomerang.catalog.hooks.outbox import lost_at
from boomerang.catalog.keys.turns import Room
from boomerang.catalog.leases import (
    WORK,
    died,
    forget_tries,
    holder_of,
    keeping_of,
    tries_of,
    work_of,
)
from boomerang.catalog.looking import Look
from boomerang.catalog.rebuilding import found_of_student, unrebuilt
from boomerang.catalog.records.allowances import UNLIMITED, Allowance
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact, Keying, Next, StudentState
from boomerang.catalog.store import Store
from boomerang.catalog.stores.measuring import change_measuring
from boomerang.catalog.stores.members import change_fact
from boomerang.catalog.stores.provisional import change_keying
from boomerang.catalog.stores.requests import CANCELLED, change_request
from boomerang.catalog.stores.students import change_state
from boomerang.catalog.students.keeping import not_kept, unkept
from boomerang.catalog.tables import (
    FamilyRow,
    FollowRow,
    KeepingRow,
    MemberRow,
    NoticeRow,
    ProvisionalRow,
    RebuildRow,
    RequestRow,
    StaleRow,
    StudentRow,
    SweepRow,
    TryRow,
)
from boomerang.catalog.transitions import Actor, Measuring

SENT = (
    *(ProvisionalRow, StudentRow, KeepingRow, FamilyRow, RequestRow),
    *(SweepRow, StaleRow, FollowRow, NoticeRow, RebuildRow),
)
"""What is sent to a queue, and has been when."""


@dataclass(frozen=True, slots=True)
class Due:
    """A job of a student's key or family's id, if any; `trace` is the request that wants it."""

    job: Next
    subject: str
    trace: str | None = field(default=None, compare=False)


class ReapingStore(Store):
    """What was lost, found."""

    def reap(
        self, patience: float, max_attempts: int, *, keep: bool = False,
        allowance: Allowance = UNLIMITED,
    ) -> tuple[Due, ...]:  # fmt: skip
        """Find the jobs that nobody holds, and mark them as sent by the caller.

        A job that had a setback, or whose holder's lease ran out, is due after a wait; one that
        waits in a queue is due after `patience` seconds, then after twice as long each time
        (it may just stand behind others). A job that lost its holder `max_attempts` times in a row
        fails. With `keep` students that are ready are kept on the Hub. No student is due whose key
        has all that it may have: by its quotas, or else by `allowance`.
        """
        with self.db.write() as session:
            look = _Look(session, patience, max_attempts)
            due = (
                *look.unkeyed(), *look.students(Room(session, allowance)), *look.unsettled(),
                *look.requests(), *look.unswept(), *look.unfollowed(), *look.untold(),
                *look.unrebuilt(), *(look.unkept() if keep else ()),
            )  # fmt: skip
            look.finished()
            return due

    def expect_resend(self) -> None:
        """Forget what was sent: the queue is new and empty, so the next reaper sends all again."""
        with self.db.write() as session:
            for table in SENT:
                session.execute(update(table).values(sent=0.0, sends=0))


class _Look(Look):
    """One look at every kind of job."""

    __slots__ = ()

    def unkeyed(self) -> Iterator[Due]:
        hashing = ProvisionalRow.state == Keying.HASHING
        for row in self.session.scalars(select(ProvisionalRow).where(hashing)):
            if holder_of(self.session, f"provisional:{row.id}") is not None:
                continue
            lost, row.running = row.running, False
            if lost:
                wait, row.reason = self._lost(row)
                if wait is None:
                    change_keying(self.session, row, Keying.FAILED, row.reason, Actor.REAPER)
            elif self._due(row):
                yield Due("key", row.id, row.trace)

    def students(self, room: Room) -> Iterator[Due]:
        """Those that are unfinished, and those that are ready and to be looked at."""
        states = (StudentState.QUEUED.value, StudentState.DISTILLING.value)
        asked = (StudentRow.state == StudentState.READY) & StudentRow.verify.is_not(None)
        statement = select(StudentRow).where(StudentRow.state.in_(states) | asked)
        for row in self.session.scalars(statement):
            if holder_of(self.session, f"student:{row.key}") is not None:
                continue
            ready = row.state == StudentState.READY
            if row.cancel and not ready:
                change_state(self.session, row, StudentState.CANCELLED, CANCELLED, Actor.REAPER)
            elif died(self.session, f"student:{row.key}") or row.state == StudentState.DISTILLING:
                wait, said = self._lost(row)
                if not ready:
                    state = StudentState.FAILED if wait is None else StudentState.QUEUED
                    change_state(self.session, row, state, said, Actor.REAPER)
                    continue
                row.verify = None if wait is None else row.verify
                if wait is None:
                    unseen = Item(kind="student", name=row.key, state="unseen", reason=said)
                    found_of_student(self.session, row.key, [unseen], Actor.REAPER)
                told = {"reason": said, "again_in": wait}
                self.session.note("unverified", told, student=row.key)
            elif (ready or room.lacks(row.owner) is None) and self._due(row):
                room.begin(row.owner)
                yield Due("distill", row.key, row.trace)

    def unkept(self) -> Iterator[Due]:
        """Students of ours that are ready, and not on the Hub."""
        for row, job in unkept(self.session):
            subject = keeping_of(row.key)
            if job.over or holder_of(self.session, subject) is not None:
                continue
            if died(self.session, subject):
                wait, said = self._lost(job)
                not_kept(self.session, row, job, said, wait)
            elif self._due(job):
                yield Due("keep", row.key, job.trace)

    def unsettled(self) -> Iterator[Due]:
        statement = select(FamilyRow).join(StudentRow, StudentRow.key == FamilyRow.student)
        ready = StudentRow.state == StudentState.READY
        for row in self.session.scalars(statement.where(ready, FamilyRow.settled.is_(False))):
            if holder_of(self.session, f"family:{row.id}") is not None:
                continue
            lost = died(self.session, f"family:{row.id}") or row.measuring == Fact.RUNNING
            if row.cancel:
                change_measuring(self.session, row, Measuring.FAILED, CANCELLED, Actor.REAPER)
            elif lost:
                wait, said = self._lost(row)
                state = Measuring.FAILED if wait is None else Measuring.WAITING
                change_measuring(self.session, row, state, said, Actor.REAPER)
            elif self._due(row):
                yield Due("measure", row.id, row.trace)

    def requests(self) -> Iterator[Due]:
        """Families whose requests are open, or that have something to be published again."""
        moved = self._lost_members() | self._to_try_again()
        families, traces = self._stale(moved), dict[str, str | None]()
        statement = select(RequestRow, FamilyRow).join(FamilyRow, FamilyRow.id == RequestRow.family)
        statement = statement.where(
            RequestRow.state.in_((Fact.NO.value, Fact.RUNNING.value)),
            FamilyRow.chosen.is_not(None),
            FamilyRow.cancel.is_not(True),
        )
        for request, family in self.session.execute(statement):
            if family.id in moved:
                request.sent, request.sends = 0.0, 0
            if self._died_settling(request):
                continue
            if family.settled and self._due(request):
                families.add(family.id)
                traces[family.id] = request.trace
        yield from (Due("settle", family, traces.get(family)) for family in sorted(families))

    def unswept(self) -> Iterator[Due]:
        late = [self._late(row) for row in self.session.scalars(select(SweepRow))]
        if any(late):
            yield Due("sweep", "")

    def unfollowed(self) -> Iterator[Due]:
        """Families that are to be made anew at their teacher's new commit."""
        for row in self.session.scalars(select(FollowRow)).all():
            subject = f"follow:{row.family}"
            if holder_of(self.session, subject) is not None:
                continue
            if died(self.session, subject):
                wait, said = self._lost(row)
                if wait is None:
                    end_following(self.session, row.family, None, said)
            elif self._due(row):
                yield Due("follow", row.family, row.trace)

    def untold(self) -> Iterator[Due]:
        """Notices that nobody has taken yet."""
        late = False
        for row in self.session.scalars(select(NoticeRow)).all():
            subject = f"notices:{row.host}"
            if holder_of(self.session, subject) is not None:
                continue
            if died(self.session, subject):
                lost_at(self.session, row.host, self.most)
            late |= inspect(row).persistent and self._due(row)
        if late:
            yield Due("tell", "")

    def unrebuilt(self) -> Iterator[Due]:
        found = unrebuilt(self.session, self._lost, self._due)
        yield from (Due("rebuild", family) for family in found)

    def _stale(self, moved: set[str]) -> set[str]:
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
        for row, member in self.session.execute(statement).all():
            subject = work_of("published", member.digest)
            if holder_of(self.session, subject) is not None:
                continue
            if died(self.session, subject):
                wait, said = self._lost(tries_of(self.session, subject))
                if wait is None:
                    change_fact(self.session, member, "published", Fact.YES, said, Actor.REAPER)
                    forget_tries(self.session, subject)
                    self.session.delete(row)
                    continue
            tried = self.session.get(TryRow, subject)
            if tried is not None and tried.due is not None:
                continue
            if row.family in moved:
                row.sent, row.sends = 0.0, 0
            if self._late(row):
                families.add(row.family)
        return families

    def _lost_members(self) -> set[str]:
        """Have members whose worker was lost tried again later; return their families."""
        families: set[str] = set()
        for fact in WORK:
            under_way = select(MemberRow).where(getattr(MemberRow, fact) == Fact.RUNNING.value)
            losses: dict[str, tuple[float | None, str]] = {}
            for row in self.session.scalars(under_way).all():
                subject = work_of(fact, row.digest)
                if holder_of(self.session, subject) is not None:
                    continue
                if subject not in losses:
                    died(self.session, subject)
                    losses[subject] = self._lost(tries_of(self.session, subject))
                wait, said = losses[subject]
                state = Fact.FAILED if wait is None else Fact.NO
                change_fact(self.session, row, fact, state, said, Actor.REAPER)
                families.add(row.family)
        return families

    def _to_try_again(self) -> set[str]:
        """The families whose time to be looked after again has come, or a member's of them."""
        due = self.session.scalars(select(TryRow).where(TryRow.due <= self.session.now())).all()
        names = {row.subject.partition(":")[2] for row in due}
        for row in due:
            row.due = None
        found = select(MemberRow.family).where(MemberRow.digest.in_(names))
        return names | set(self.session.scalars(found))

    def _died_settling(self, request: RequestRow) -> bool:
        """Whether whoever looks after a family's requests dies at it: it waits, or is given up."""
        subject = f"settle:{request.family}"
        if died(self.session, subject):
            self._lost(tries_of(self.session, subject))
        row = self.session.get(TryRow, subject)
        if row is None or row.attempts < self.most:
            return row is not None and row.due is not None
        request.attempts, request.parked = row.attempts, True
        change_request(self.session, request, Fact.FAILED, self._enough, Actor.REAPER)
        return True
