"""Rebuilds: kept from when they are asked for until everything was looked at and mended.

The student is looked at by whoever distils, its members and repositories by a job of their own
(workers/models/rebuild.py), which is due when nothing of the family is under way any more.
"""

from collections.abc import Iterable

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import hand_on
from boomerang.catalog.keys.owners import check_owner, first_owner, owned, owners_follow
from boomerang.catalog.rebuilding import (
    OPEN,
    ask_rebuild,
    change_rebuild,
    found_of_student,
    of_student,
    open_of,
    put,
    waits,
)
from boomerang.catalog.records.families import Created, NewFamily, NewMember, NewRequest, Planned
from boomerang.catalog.records.rebuilds import Item, Rebuild, Rebuilt
from boomerang.catalog.records.states import Fact, Lease, StudentState
from boomerang.catalog.records.students import NewStudent, salted_key
from boomerang.catalog.setbacks import Limits, Setback, achieved, again, gave_up, later
from boomerang.catalog.store import facts_of, family_row, record, student_row
from boomerang.catalog.stores.families import FamilyStore, led_to
from boomerang.catalog.stores.students import requeue, verify
from boomerang.catalog.tables import FamilyRow, MemberRow, RebuildRow, RequestRow, StudentRow
from boomerang.catalog.transitions import Actor
from boomerang.errors import NotFound
from boomerang.family.composition import composition_of
from boomerang.family.layer_map import LayerMap


class RebuildStore(FamilyStore):
    """Rebuilds, by family and number."""

    def rebuilds(self, family: str) -> tuple[Rebuild, ...]:
        """Those of a family, newest first."""
        with self.db.read() as session:
            mine = select(RebuildRow).where(RebuildRow.family == family)
            rows = session.scalars(mine.order_by(RebuildRow.id.desc()))
            return tuple(record(Rebuild, row) for row in rows)

    def rebuild_numbered(self, family: str, number: int) -> Rebuild:
        """One of a family. Raises NotFound."""
        with self.db.read() as session:
            row = session.get(RebuildRow, number)
            if row is None or row.family != family:
                raise NotFound(
                    f"Family {family} has no rebuild {number}.",
                    value=number,
                    fix=f"GET /families/{family}/rebuilds lists them.",
                )
            return record(Rebuild, row)

    def open_rebuild(self, family: str) -> Rebuild | None:
        """The rebuild of a family that is not over, if there is one."""
        with self.db.read() as session:
            row = open_of(session, family)
            return None if row is None else record(Rebuild, row)

    def open_rebuilds(self, student: str) -> tuple[str, ...]:
        """The families of a student that have a rebuild which is not over."""
        with self.db.read() as session:
            return tuple(row.family for row in of_student(session, student))

    def rebuild_waits(self, number: int, *, lease: Lease) -> bool:
        """Whether a rebuild must wait for other work on its family: then a reaper sends it again.

        Raises LostLease.
        """
        with self.db.write(lease) as session:
            row = session.get(RebuildRow, number)
            if row is None or not waits(session, row):
                return False
            row.sent, row.sends = 0.0, 0
            return True

    def rebuild_found(self, number: int, items: Iterable[Item], *, lease: Lease) -> None:
        """Keep what was looked at: the next setback is the first one. Raises LostLease."""
        with self.db.write(lease) as session:
            row = session.get(RebuildRow, number)
            if row is not None:
                achieved(row)
                put(session, row, items, Actor.WORKER)

    def rebuild_later(
        self, number: int, reason: str | None, limits: Limits, *,
        kind: Setback = Setback.OUTSIDE, lease: Lease,
    ) -> bool:  # fmt: skip
        """Go on later: soon, or after a setback, for a `reason`, after a wait.

        False after too long; it goes on at once then. Raises LostLease.
        """
        with self.db.write(lease) as session:
            row = session.get(RebuildRow, number)
            if row is None or row.state not in OPEN:
                return True
            if reason is None:
                row.sent, row.sends = 0.0, 0
                return True
            wait = again(row, kind, session.now(), limits)
            row.reason = gave_up(reason, limits) if wait is None else later(reason, wait)
            return wait is not None

    def rebuild_over(self, number: int, state: Fact, reason: str | None, *, lease: Lease) -> None:
        """End a rebuild. Raises LostLease, IllegalTransition."""
        with self.db.write(lease) as session:
            row = session.get(RebuildRow, number)
            if row is not None:
                change_rebuild(session, row, state, reason, Actor.WORKER)

    def rebuild(self, family: str, force: bool = False, by: str | None = None) -> Rebuilt:
        """Have all that is there of a family looked at and mended, or with `force` made anew.

        Without force the student is verified, and distilled again where it is not whole; then its
        members are looked at. One rebuild of a family that is not over is joined. With force the
        family returned is a new one, whose student has the next generation; it has the same owners
        and is charged to the key that asked, `by` which. Raises FamilyNotFound, NotYours.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            check_owner(session, family, by)
            return self._rebuild(session, row, force, by)

    def rebuild_all(self, by: str | None = None) -> tuple[Rebuilt, ...]:
        """Have every family looked at and mended, and each student once, newest family first.

        Of a key, `by` which, only those that it owns.
        """
        with self.db.write() as session:
            newest = select(FamilyRow).order_by(FamilyRow.created.desc(), FamilyRow.id)
            if by is not None:
                newest = newest.where(FamilyRow.id.in_(owned(by)))
            rows = session.scalars(newest).all()
            return tuple(self._rebuild(session, row, force=False) for row in rows)

    def _rebuild(
        self, session: Session, row: FamilyRow, force: bool, by: str | None = None
    ) -> Rebuilt:
        student = student_row(session, row.student)
        event = session.last_event()
        session.note("family", {"state": "rebuild", "force": force}, family=row.id)
        if force:
            made = self._next_generation(session, row, student, by)
            asked = ask_rebuild(session, family_row(session, made.family.id), force)
            return Rebuilt(**vars(made), event=event, rebuild=asked.id)
        self._wanted_again(session, row)
        asked = ask_rebuild(session, row, force)
        if student.state in (StudentState.FAILED, StudentState.CANCELLED):
            found = f"it was {student.state}: {student.reason}"
            lost = Item(kind="student", name=student.key, state="broken", found=found)
            found_of_student(session, student.key, [lost], Actor.REQUEST)
            requeue(session, student, "rebuild")
        elif student.state == StudentState.READY:
            verify(session, student)
        student.cancel = False
        made = led_to(row, student, False, "distill")
        return Rebuilt(**vars(made), event=event, rebuild=asked.id)

    def _next_generation(
        self, session: Session, row: FamilyRow, student: StudentRow, by: str | None
    ) -> Created:
        same = select(StudentRow.generation).where(StudentRow.root == student.root)
        generation = max(session.scalars(same)) + 1
        key, layermap = (
            salted_key(student.root, generation),
            LayerMap(tuple(student.kept), student.layers),
        )
        made_of = facts_of(NewStudent, student) | {"key": student.root, "kept": tuple(student.kept)}
        ladder = session.scalars(
            select(MemberRow).where(MemberRow.family == row.id).order_by(MemberRow.k)
        )
        members = []
        for member in ladder:
            digest = composition_of(layermap, member.code).digest(row.commit, key)
            members.append(NewMember(**facts_of(NewMember, member) | {"digest": digest}))
        asked = session.scalars(select(RequestRow).where(RequestRow.family == row.id))
        plan = Planned(
            family=NewFamily(**facts_of(NewFamily, row) | {"student": key}),
            student=NewStudent(**made_of),
            members=tuple(members),
            requests=tuple(NewRequest(**facts_of(NewRequest, one)) for one in asked),
            owner=by or first_owner(session, row.id),
        )
        made = self._create(session, plan, generation)
        owners_follow(session, row.id, made.family.id)
        hand_on(session, row.id, made.family.id)
        return made
