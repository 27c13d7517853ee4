"""The part of the catalog about students: their states, their progress, their cancellation."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from boomerang.catalog.database import Database
from boomerang.catalog.leases import Lease, guard, holder_of
from boomerang.catalog.parts.members import outdate, unsettle
from boomerang.catalog.records.members import salted_key
from boomerang.catalog.records.states import PROGRESS, Fact, StudentState
from boomerang.catalog.records.students import NewStudent, Student
from boomerang.catalog.setbacks import Limits, Setback, achieved, afresh, again, gave_up, later
from boomerang.catalog.store import Store, student_record, student_row
from boomerang.catalog.tables.families import FamilyRow, StudentRow
from boomerang.catalog.transitions import STUDENT, Actor, check

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
        """Change a student's state, with its event; a cancellation that was taken back queues it.

        Raises LostLease, IllegalTransition, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            if state is StudentState.CANCELLED and not row.cancel:
                # Asked for again since its worker heard of the cancellation.
                state, reason = StudentState.QUEUED, "asked for again"
                row.sent, row.sends = 0.0, 0
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
        ignored. Step 0 after a checkpoint is a run that begins anew. Raises LostLease, NotFound.
        """
        known = {name: values[name] for name in _PROGRESS if name in values}
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            if known.get("step") == 0 and row.saved is not None:
                _begin_anew(row)
            for name, value in known.items():
                setattr(row, name, value)
            row.updated = self.db.now(session)
            if event:
                self.db.note(session, PROGRESS, known, student=key)

    def student_note(
        self, key: str, kind: str, payload: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell the event stream something about a student that changes nothing."""
        with self.db.write() as session:
            guard(session, lease)
            self.db.note(session, kind, payload, student=key)

    def student_set_aside(
        self, key: str, payload: dict[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell that what was made of a student is set aside; what is made next begins anew."""
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            _begin_anew(row)
            row.step = 0
            self.db.note(session, "set-aside", payload, student=key)

    def student_saved(
        self, key: str, values: Mapping[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Tell of a checkpoint; one that is further than the last makes good all setbacks.

        Raises LostLease, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            step = int(values["step"])
            if row.saved is None or step > row.saved:
                row.saved = step
                achieved(row)
            self.db.note(session, "checkpoint", dict(values), student=key)

    def student_narrow(
        self, key: str, values: Mapping[str, Any], *, lease: Lease | None = None
    ) -> None:
        """Keep how many sequences at a time there is memory for: `micro_batch` of `values`."""
        with self.db.write() as session:
            guard(session, lease)
            student_row(session, key).micro_batch = int(values["micro_batch"])
            self.db.note(session, "memory", dict(values), student=key)

    def student_out_of_memory(
        self, key: str, micro_batch: int, *, lease: Lease | None = None
    ) -> int | None:
        """Take note that what distils was killed for its memory; return its next micro-batch.

        The second time at the same step it is half of `micro_batch`, and that may be 0. None
        where it got further than the time before. Raises LostLease, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            stuck = row.killed_at is not None and row.step <= row.killed_at
            row.killed_at = row.step
            if not stuck:
                return None
            half = micro_batch // 2
            if half:
                row.micro_batch = half
                achieved(row)
                told = {"step": row.step, "micro_batch": half, "before": micro_batch}
                self.db.note(session, "memory", told, student=key)
            return half

    def student_again(
        self,
        key: str,
        kind: Setback,
        reason: str,
        limits: Limits,
        *,
        lease: Lease | None = None,
    ) -> Student:
        """After a setback: queued again for later, or failed where it has had enough of them.

        Raises LostLease, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            wait = again(row, kind, self.db.now(session), limits)
            if wait is None:
                state, said = StudentState.FAILED, gave_up(reason, limits)
            else:
                state, said = StudentState.QUEUED, later(reason, wait)
            change_state(self.db, session, row, state, said, Actor.WORKER)
            return student_record(row)

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

    def student_whole(
        self,
        key: str,
        files: Mapping[str, str],
        *,
        made: bool,
        lease: Lease | None = None,
    ) -> None:
        """A student is whole: ready where it was `made`, else verified, with the event for it.

        `files` are the sha256 of its weights. Its families are measured anew where it was made
        again, and where measuring failed. Raises LostLease, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = student_row(session, key)
            others = made and row.files != dict(files)
            row.files, row.verify = dict(files), None
            achieved(row)
            if made:
                _begin_anew(row)
                change_state(self.db, session, row, StudentState.READY, None, Actor.WORKER)
            else:
                self.db.note(session, "verified", {}, student=key)
            reason = "its student is new" if made else "its student was verified"
            for family in session.scalars(select(FamilyRow).where(FamilyRow.student == key)):
                if others:
                    outdate(self.db, session, family.id, reason)
                lacks = family.settled and family.measuring != Fact.YES
                if not family.cancel and (made or lacks):
                    unsettle(self.db, session, family, reason, Actor.WORKER, anew=made)

    def student_not_seen(
        self,
        key: str,
        reason: str,
        limits: Limits | None,
        *,
        lease: Lease | None = None,
    ) -> None:
        """Whether a student is whole could not be found out: it stays what it is.

        It is looked at again later within `limits`, not at all without. Raises LostLease, NotFound.
        """
        with self.db.write() as session:
            guard(session, lease)
            row, wait = student_row(session, key), None
            if limits is not None:
                wait = again(row, Setback.OUTSIDE, self.db.now(session), limits)
            if wait is None:
                row.verify = None
                achieved(row)
            told = {"reason": reason, "again_in": wait}
            self.db.note(session, "unverified", told, student=key)


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
            row.cancel = False
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
    row.cancel, row.verify, row.micro_batch = False, None, None
    _begin_anew(row)
    afresh(row, db.now(session))
    change_state(db, session, row, StudentState.QUEUED, reason, Actor.REQUEST)


def _begin_anew(row: StudentRow) -> None:
    """What comes next is compared with no checkpoint and no kill of what was before."""
    row.saved, row.killed_at = None, None


def verify(db: Database, session: Session, row: StudentRow) -> None:
    """Have a student that is ready looked at: whether it is whole. The caller sends the job."""
    row.verify = db.now(session)
    afresh(row, row.verify)


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
