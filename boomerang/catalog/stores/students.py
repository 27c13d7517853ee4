"""Students: asked for, queued, ready, failed or cancelled."""

from typing import Any

from sqlalchemy import func, select, update

from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import announce, standing
from boomerang.catalog.leases import holder_of
from boomerang.catalog.records.states import Lease, StudentState
from boomerang.catalog.records.students import NewStudent, Origin, Speed, Student, salted_key
from boomerang.catalog.setbacks import Limits, Setback, afresh, again, gave_up, later
from boomerang.catalog.store import Store, facts_of, record, student_row
from boomerang.catalog.tables import FamilyRow, MemberRow, StudentRow
from boomerang.catalog.transitions import STUDENT, Actor, check


class StudentStore(Store):
    """Students, by key."""

    def student(self, key: str) -> Student:
        """One student. Raises NotFound."""
        with self.db.read() as session:
            return record(Student, student_row(session, key))

    def student_if_any(self, key: str) -> Student | None:
        """One student; None where there is none of that key."""
        with self.db.read() as session:
            row = session.get(StudentRow, key)
            return None if row is None else record(Student, row)

    def students(self) -> tuple[Student, ...]:
        """Every student, newest first."""
        with self.db.read() as session:
            rows = session.scalars(select(StudentRow).order_by(StudentRow.created.desc()))
            return tuple(record(Student, row) for row in rows)

    def speeds(self, limit: int) -> tuple[Speed, ...]:
        """How fast the latest students were distilled, by the members of a family of each."""
        with self.db.read() as session:
            ready = select(StudentRow.key, StudentRow.tokens_per_s).where(
                StudentRow.state == StudentState.READY, StudentRow.origin == Origin.DISTILLED,
                StudentRow.tokens_per_s > 0,
            )  # fmt: skip
            latest = session.execute(ready.order_by(StudentRow.finished.desc()).limit(limit)).all()
            ends = (func.min(MemberRow.parameters), func.max(MemberRow.parameters))
            sizes = {
                key: (least, most)
                for key, least, most in session.execute(
                    select(FamilyRow.student, *ends)
                    .join(MemberRow, MemberRow.family == FamilyRow.id)
                    .where(FamilyRow.student.in_([key for key, _ in latest]))
                    .group_by(FamilyRow.student)
                )
            }
            return tuple(Speed(speed or 0.0, *sizes[key]) for key, speed in latest if key in sizes)

    def set_student_state(
        self, key: str, state: StudentState, reason: str | None = None, lease: Lease | None = None
    ) -> Student:
        """Change a state, with its event; a cancellation that was taken back queues it."""
        with self.db.write(lease) as session:
            row = student_row(session, key)
            if state is StudentState.CANCELLED and not row.cancel:
                # Asked for again since its worker heard of the cancellation.
                state, reason = StudentState.QUEUED, "asked for again"
                row.sent, row.sends = 0.0, 0
            change_state(session, row, state, reason, Actor.WORKER)
            return record(Student, row)

    def student_resend(self, key: str, reason: str, *, lease: Lease | None = None) -> None:
        """Put a student back into the queue; the next reaper sends it again at once.

        One that is ready stays so: it was only looked at. Raises LostLease, IllegalTransition.
        """
        with self.db.write(lease) as session:
            row = student_row(session, key)
            if row.state == StudentState.READY:
                return
            row.sent, row.sends = 0.0, 0
            change_state(session, row, StudentState.QUEUED, reason, Actor.WORKER)

    def student_again(
        self, key: str, kind: Setback, reason: str, limits: Limits, *, lease: Lease | None = None
    ) -> Student:
        """After a setback: queued again for later, or failed where it has had enough of them."""
        with self.db.write(lease) as session:
            row = student_row(session, key)
            wait = again(row, kind, session.now(), limits)
            if wait is None:
                state, said = StudentState.FAILED, gave_up(reason, limits)
            else:
                state, said = StudentState.QUEUED, later(reason, wait)
            change_state(session, row, state, said, Actor.WORKER)
            return record(Student, row)

    def student_note(
        self, key: str, kind: str, payload: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell the event stream something about a student that changes nothing."""
        with self.db.write(lease) as session:
            session.note(kind, payload, student=key)


def obtain(
    session: Session, new: NewStudent, generation: int = 1, owner: str | None = None
) -> tuple[StudentRow, bool]:
    """The row of a student, and whether it must be sent to the queue by this caller.

    The key that asked for it first is charged for it.
    A student that failed or was cancelled is queued again, and charged to whoever asks anew.
    """
    key = salted_key(new.key, generation)
    row = session.get(StudentRow, key)
    if row is not None:
        row, send = obtain_again(session, key)
        row.owner = owner if send else row.owner
        return row, send
    now = session.now()
    values = facts_of(NewStudent, new)
    values |= {"key": key, "root": new.key, "kept": list(new.kept), "generation": generation}
    values["owner"] = owner
    row = StudentRow(**values, state="", created=now, updated=now, sent=now)
    session.add(row)
    session.flush()
    # A folder that was given needs no preparation: it is the student.
    given = new.origin == "folder"
    first = StudentState.READY if given else StudentState.QUEUED
    change_state(session, row, first, None, Actor.REQUEST)
    return row, not given


def obtain_again(session: Session, key: str) -> tuple[StudentRow, bool]:
    """The same of a student that there is: one that failed or was cancelled is queued again."""
    row = student_row(session, key)
    if StudentState(row.state) not in (StudentState.FAILED, StudentState.CANCELLED):
        row.cancel = False
        return row, False
    requeue(session, row, "asked for again")
    return row, True


def requeue(session: Session, row: StudentRow, reason: str) -> None:
    """Queue a student anew, as if nobody had tried yet. The caller sends the job."""
    row.cancel, row.verify, row.micro_batch = False, None, None
    begin_anew(row)
    afresh(row, session.now())
    change_state(session, row, StudentState.QUEUED, reason, Actor.REQUEST)


def begin_anew(row: StudentRow) -> None:
    """What comes next is compared with no checkpoint and no kill of what was before."""
    row.saved, row.killed_at = None, None


def verify(session: Session, row: StudentRow) -> None:
    """Have a student that is ready looked at: whether it is whole. The caller sends the job."""
    row.verify = session.now()
    afresh(row, row.verify)


def cancel(session: Session, row: StudentRow) -> None:
    """Ask for a student's end: at once where nobody works on it, else by its worker."""
    if StudentState(row.state).over:
        return
    row.cancel = True
    if holder_of(session, f"student:{row.key}") is None:
        reason = "cancelled on request"
        change_state(session, row, StudentState.CANCELLED, reason, Actor.REQUEST)
    else:
        session.note("student", {"state": row.state, "reason": "cancelling"}, student=row.key)


def change_state(
    session: Session, row: StudentRow, state: StudentState, reason: str | None, by: Actor
) -> None:
    """Change a student's state within a transaction, and write the event."""
    check(STUDENT, f"the student {row.key}", row.state, state, by)
    row.state, row.reason, row.updated = state.value, reason, session.now()
    theirs = update(FamilyRow).where(FamilyRow.student == row.key)
    session.execute(theirs.values(state=state.value))
    if state is StudentState.DISTILLING:
        row.started, row.finished = row.updated, None
    if state.over:
        row.finished, row.eta_s = row.updated, None
    if state is StudentState.READY:
        row.cancel = False  # it came too late, and must end nothing that is done with it later
    payload = {"state": state.value, "reason": reason, "step": row.step, "steps": row.steps}
    session.note("student", payload, student=row.key)
    if state in (StudentState.FAILED, StudentState.CANCELLED):
        # Its families end as it does, but for those that were cancelled before.
        for family in session.scalars(select(FamilyRow).where(FamilyRow.student == row.key)).all():
            if standing(family) != "cancelled":
                announce(session, family.id, state.value, reason)
