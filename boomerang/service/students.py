"""The part of the catalog about students: their states, their progress, their cancellation."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from boomerang.service.database import Database
from boomerang.service.leases import Lease, guard, holder_of
from boomerang.service.models import StudentRow
from boomerang.service.records import NewStudent, Student, StudentState, salted_key
from boomerang.service.store import Store, student_record, student_row
from boomerang.service.transitions import STUDENT, Actor, check

_PROGRESS = ("step", "steps", "loss", "ce", "kl", "cosine", "tokens", "tokens_per_s", "eta_s")


class StudentStore(Store):
    """Students, by key."""

    def student(self, key: str) -> Student:
        """One student. Raises NotFound."""
        with self.db.read() as session:
            return student_record(student_row(session, key))

    def students(self) -> tuple[Student, ...]:
        """Every student, newest first."""
        with self.db.read() as session:
            rows = session.scalars(select(StudentRow).order_by(StudentRow.created.desc()))
            return tuple(student_record(row) for row in rows)

    def set_student_state(
        self,
        key: str,
        state: StudentState,
        reason: str | None = None,
        *,
        lease: Lease | None = None,
    ) -> Student:
        """Change a student's state, with its event.

        Raises LostLease, IllegalTransition, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            change_state(self.db, session, row, state, reason, Actor.WORKER)
            return student_record(row)

    def student_progress(
        self,
        key: str,
        values: Mapping[str, Any],
        *,
        lease: Lease | None = None,
        event: bool = True,
    ) -> None:
        """Store where a distillation stands; `event` also tells the event stream.

        Values other than step, steps, loss, ce, kl, cosine, tokens, tokens_per_s and eta_s are
        ignored. Raises LostLease, NotFound.
        """
        known = {name: values[name] for name in _PROGRESS if name in values}
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            for name, value in known.items():
                setattr(row, name, value)
            row.updated = self.db.now(session)
            if event:
                self.db.note(session, "progress", known, student=key)

    def student_note(
        self, key: str, kind: str, payload: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell the event stream something about a student that changes nothing."""
        with self.db.write() as session:
            guard(session, lease)
            self.db.note(session, kind, payload, student=key)

    def student_resend(self, key: str, reason: str, *, lease: Lease | None = None) -> None:
        """Put a student back into the queue; the next reaper sends it again at once.

        One that is ready stays so: it was only looked at. Raises LostLease, IllegalTransition.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            if row.state == StudentState.READY:
                return
            row.sent, row.sends = 0.0, 0
            change_state(self.db, session, row, StudentState.QUEUED, reason, Actor.WORKER)


def change_state(
    db: Database,
    session: Session,
    row: StudentRow,
    state: StudentState,
    reason: str | None,
    by: Actor,
) -> None:
    """Change a student's state within a transaction, and write the event.

    Raises IllegalTransition.
    """
    check(STUDENT, f"the student {row.key}", row.state, state, by)
    row.state, row.reason, row.updated = state.value, reason, db.now(session)
    if state is StudentState.DISTILLING:
        row.started, row.finished = row.updated, None
    if state.over:
        row.finished, row.eta_s = row.updated, None
    if state is StudentState.READY:
        row.cancel = False  # it came too late, and must end nothing that is done with it later
    payload = {"state": state.value, "reason": reason, "step": row.step, "steps": row.steps}
    db.note(session, "student", payload, student=row.key)


def obtain(
    db: Database, session: Session, new: NewStudent, generation: int = 1
) -> tuple[StudentRow, bool]:
    """The row of a student, and whether it must be sent to the queue by this caller.

    A student that failed or was cancelled is queued again: whoever asks anew wants it.
    """
    key = salted_key(new.key, generation)
    row = session.get(StudentRow, key)
    if row is not None:
        if StudentState(row.state) not in (StudentState.FAILED, StudentState.CANCELLED):
            return row, False
        requeue(db, session, row, "asked for again")
        return row, True
    now = db.now(session)
    values: dict[str, Any] = {name: getattr(new, name) for name in NewStudent.__dataclass_fields__}
    values |= {"key": key, "root": new.key, "kept": list(new.kept), "generation": generation}
    row = StudentRow(**values, state="", created=now, updated=now, sent=now)
    session.add(row)
    session.flush()
    # A folder that was given needs no preparation: it is the student.
    given = new.origin == "folder"
    first = StudentState.READY if given else StudentState.QUEUED
    change_state(db, session, row, first, None, Actor.REQUEST)
    return row, not given


def requeue(db: Database, session: Session, row: StudentRow, reason: str) -> None:
    """Queue a student anew, as if nobody had tried yet. The caller sends the job."""
    row.cancel, row.attempts, row.sends, row.sent = False, 0, 0, db.now(session)
    change_state(db, session, row, StudentState.QUEUED, reason, Actor.REQUEST)


def cancel(db: Database, session: Session, row: StudentRow) -> None:
    """Ask for a student's end: at once where nobody works on it, else by its worker."""
    if StudentState(row.state).over:
        return
    row.cancel = True
    if holder_of(db, session, f"student:{row.key}") is None:
        reason = "cancelled on request"
        change_state(db, session, row, StudentState.CANCELLED, reason, Actor.REQUEST)
    else:
        db.note(session, "student", {"state": row.state, "reason": "cancelling"}, student=row.key)
