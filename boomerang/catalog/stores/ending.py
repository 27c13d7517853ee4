"""Families that are ended: cancelled, or deleted, by who owns them.

A key that owns a family among others only lets go of its share (keys/owners.py).
"""

from sqlalchemy import delete, select

from boomerang.catalog.credentials import forget_unneeded
from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import forget_listeners
from boomerang.catalog.keys.owners import forget_owners, lets_go
from boomerang.catalog.leases import holder_of
from boomerang.catalog.rebuilding import end_rebuilds
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.catalog.store import Store, family_row, record, student_row
from boomerang.catalog.stores.measuring import change_measuring
from boomerang.catalog.stores.publications import free_name, held_repos
from boomerang.catalog.stores.requests import CANCELLED, give_up, give_up_own
from boomerang.catalog.stores.students import cancel
from boomerang.catalog.tables import (
    FamilyRow,
    MemberRow,
    OwnerRow,
    RebuildRow,
    RequestRow,
    RevisionRow,
    StaleRow,
    StudentRow,
    SweepRow,
)
from boomerang.catalog.transitions import Actor, Measuring


class EndingStore(Store):
    """Families, by id, as far as they end."""

    def cancel(self, family: str, by: str | None = None) -> Student | None:
        """End what is done for a family: at once, or by its worker in a second.

        Its student's distillation ends where no other family waits for it, and its own measuring.
        What was asked of it is done only for whoever asks again, and may: not for a rebuild.
        None where it goes on, as others own it beside the key that it is cancelled `by`. Raises
        FamilyNotFound, NotYours.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            if lets_go(session, family, by):
                give_up_own(session, family, by, CANCELLED)
                _charge_others(session, row.student, by)
                return None
            give_up(session, family, CANCELLED)
            end_rebuilds(session, family, CANCELLED)
            student = student_row(session, row.student)
            ready, over = student.state == StudentState.READY, StudentState(student.state).over
            if over and (row.settled or not ready):
                return record(Student, student)
            row.cancel = True
            session.flush()
            _charge_others(session, student.key, by)
            if not over and _wanted(session, student) is None:
                cancel(session, student)
            elif not row.settled and holder_of(session, f"family:{family}") is None:
                change_measuring(session, row, Measuring.FAILED, CANCELLED, Actor.REQUEST)
            return record(Student, student)

    def delete_family(self, family: str, by: str | None = None) -> tuple[str, ...] | None:
        """Forget a family; return the digests of members that no other family has, to be swept.

        None where it stays, as others own it beside the key that it is deleted `by`.

        Its student stays (the next request finds it), unless it is unfinished and nobody else
        waits for it: then it is cancelled. Its repositories stay too, and the event names them.
        Raises FamilyNotFound, NotYours.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            if lets_go(session, family, by):
                give_up_own(session, family, by, CANCELLED)
                _charge_others(session, row.student, by)
                return None
            student = student_row(session, row.student)
            digests = set(
                session.scalars(select(MemberRow.digest).where(MemberRow.family == family))
            )
            free_name(session, family)
            forget_listeners(session, family)
            forget_owners(session, [family])
            for table in (RequestRow, RebuildRow, MemberRow, RevisionRow, StaleRow):
                session.execute(delete(table).where(table.family == family))
            session.delete(row)
            session.flush()
            forget_unneeded(session)
            kept = session.scalars(select(MemberRow.digest).where(MemberRow.digest.in_(digests)))
            digests -= set(kept)
            for digest in digests:
                session.merge(SweepRow(digest=digest, sent=session.now(), sends=0))
            _charge_others(session, student.key, by)
            if _wanted(session, student) is None:
                cancel(session, student)
            left = held_repos(session, family)
            session.note("family", {"state": "deleted", "repositories": left}, family=family)
            return tuple(sorted(digests))


def _wanted(session: Session, student: StudentRow) -> str | None:
    """A family that waits for a student, if there is one."""
    waits = select(FamilyRow.id).where(
        FamilyRow.student == student.key, FamilyRow.cancel.is_not(True)
    )
    return session.scalars(waits).first()


def _charge_others(session: Session, student: str, by: str | None) -> None:
    """What is done with a student from now on is charged to whoever wants it still.

    A key that ended all it had of it would pay for others, or they would wait for its quota.
    """
    row = student_row(session, student)
    if by is None or row.owner != by:
        return
    wanting = select(OwnerRow.key).join(FamilyRow, FamilyRow.id == OwnerRow.family)
    wanting = wanting.where(FamilyRow.student == student, FamilyRow.cancel.is_not(True))
    left = session.scalars(wanting.order_by(OwnerRow.since, OwnerRow.key)).all()
    if left and by not in left:
        row.owner = left[0] or None
