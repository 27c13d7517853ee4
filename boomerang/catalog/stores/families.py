"""Families: asked for, found, measured, tried again."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from boomerang.catalog.credentials import forget_unneeded, keep_credential
from boomerang.catalog.database import Session
from boomerang.catalog.hooks.outbox import catch_up, listen
from boomerang.catalog.keys.owners import check_owner, own
from boomerang.catalog.keys.usage import spend_family
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.families import (
    Created,
    Family,
    NewFamily,
    NewMember,
    NewRequest,
    Planned,
    has_result,
)
from boomerang.catalog.records.states import Fact, Next, StudentState
from boomerang.catalog.records.students import NewStudent, Student
from boomerang.catalog.setbacks import afresh
from boomerang.catalog.store import Store, facts_of, family_row, record, student_row
from boomerang.catalog.stores.measuring import change_measuring, unsettle
from boomerang.catalog.stores.publications import give_name, outdate_cards
from boomerang.catalog.stores.requests import keep_request, reopen_failed
from boomerang.catalog.stores.students import obtain, obtain_again
from boomerang.catalog.tables import FamilyRow, MemberRow, StudentRow
from boomerang.catalog.transitions import Actor, Measuring
from boomerang.errors import NotReady


class LayersPinned(NotReady):
    """The layers that a student keeps were measured after a family of it was planned."""

    slug, title = "layers-pinned", "The layers it keeps were measured meanwhile"
    transient = True


class FamilyStore(Store):
    """Families, by id."""

    def create_family(
        self,
        new: NewFamily,
        student: NewStudent,
        members: Sequence[NewMember] = (),
        requests: Sequence[NewRequest] = (),
        *,
        notify: str | None = None,
        credential: Credential | None = None,
        owner: str | None = None,
        most: int | None = None,
    ) -> Created:
        """Make a family, or find it: the same request is the same family.

        The address `notify` is told what becomes of it, and at once how it stands; the `credential`
        that requests name is kept with them, and the key that asked is an `owner`. Of any number of
        equal calls at once, exactly one is told to send the distillation. A student that failed or
        was cancelled is queued again. Raises QuotaSpent where the owner asked for as many new ones
        today as it may (`most`, as of Planned).
        """
        plan = Planned(family=new, student=student, members=tuple(members), notify=notify,
                       requests=tuple(requests), owner=owner, most=most)  # fmt: skip
        with self.db.write() as session:
            keep_credential(session, credential)
            created = self._create(session, plan)
            forget_unneeded(session)
            return created

    def _create(self, session: Session, plan: Planned, generation: int = 1) -> Created:
        student, send = obtain(session, plan.student, generation, plan.owner)
        new = plan.family
        row = session.get(FamilyRow, new.id)
        created, revived = row is None, False
        if row is None:
            _refuse_other_layers(student, plan.student)
            row = self._insert(session, new, plan.members)
        else:
            row.tasks = {**(row.tasks or {}), **(new.tasks or {})} or None
            _learn(session, row, new)
            revived = self._wanted_again(session, row)
        spend_family(session, plan, new=own(session, row.id, plan.owner, made=created))
        asked = [keep_request(session, row.id, one, plan.owner) for one in plan.requests]
        lacks = bool(new.tasks) and row.settled and _lacks_tasks(session, row)
        fresh = created or revived
        following = (
            "distill" if send else _following(session, row, student, fresh, any(asked), lacks)
        )
        if plan.notify is not None:
            listen(session, row.id, plan.notify)
            catch_up(session, row, [plan.notify])
        return led_to(row, student, created, following)

    def _wanted_again(self, session: Session, row: FamilyRow) -> bool:
        """Take a cancellation back, if there was one.

        A worker that has heard of it finds out when it says so.
        """
        cancelled, row.cancel = bool(row.cancel), None
        if cancelled and row.settled:
            unsettle(session, row, "asked for again", Actor.REQUEST)
        return cancelled

    def _insert(self, session: Session, new: NewFamily, members: Sequence[NewMember]) -> FamilyRow:
        now = session.now()
        values = facts_of(NewFamily, new)
        row = FamilyRow(id=new.id, **values, measuring="no", created=now, updated=now)
        row.state = student_row(session, new.student).state
        give_name(session, row)
        session.add(row)
        session.flush()
        for member in members:
            facts = facts_of(NewMember, member)
            session.add(MemberRow(family=row.id, updated=now, **facts))
        session.note("family", {"state": "created"}, family=row.id, student=new.student)
        return row

    def add_requests(
        self,
        family: str,
        requests: Sequence[NewRequest],
        *,
        credential: Credential | None = None,
        owner: str | None = None,
    ) -> Created:
        """Ask a family for more builds or publications. Raises FamilyNotFound.

        The `credential` that they name is kept with them; the key that asks joins its owners.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            own(session, family, owner, made=False)
            keep_credential(session, credential)
            asked = [keep_request(session, family, request, owner) for request in requests]
            student = student_row(session, row.student)
            following = _following(session, row, student, False, any(asked), False)
            forget_unneeded(session)
            return led_to(row, student, False, following)

    def measure(
        self, family: str, tasks: Mapping[str, int | None], owner: str | None = None
    ) -> Created:
        """Have a family measured that was not, and by more tasks. Raises FamilyNotFound.

        The key that asks joins its owners.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            own(session, family, owner, made=False)
            row.tasks = {**(row.tasks or {}), **tasks} or None
            student = student_row(session, row.student)
            unmeasured = bool(row.settled) and row.measuring != Fact.YES
            lacks = unmeasured or (row.settled and _lacks_tasks(session, row))
            following = _following(session, row, student, False, False, lacks)
            return led_to(row, student, False, following)

    def retry(self, family: str, *, publishing: bool, by: str | None = None) -> Created:
        """Begin anew with what of a family failed or was cancelled, `by` which key.

        That is its student, its measuring, the tasks that failed, and what was asked of it: of
        that the publications only where `publishing` is allowed. Raises FamilyNotFound, NotYours.
        """
        with self.db.write() as session:
            row = family_row(session, family)
            check_owner(session, family, by)
            revived = self._wanted_again(session, row)
            asked = reopen_failed(session, family, publishing=publishing)
            student, send = obtain_again(session, row.student)
            lacks = row.settled and _lacks_tasks(session, row)
            following = _following(session, row, student, revived, asked, lacks)
            return led_to(row, student, False, "distill" if send else following)

    def family(self, family: str) -> Family:
        """One family. Raises FamilyNotFound."""
        with self.db.read() as session:
            return record(Family, family_row(session, family))

    def families(
        self, *, teacher: str | None = None, student: str | None = None
    ) -> tuple[Family, ...]:
        """Every family, newest first: of a teacher at any commit, or of those of a student."""
        statement = select(FamilyRow).order_by(FamilyRow.created.desc(), FamilyRow.id)
        if teacher is not None:
            statement = statement.where(FamilyRow.teacher == teacher)
        if student is not None:
            statement = statement.where(FamilyRow.student == student)
        with self.db.read() as session:
            return tuple(record(Family, row) for row in session.scalars(statement))


def _refuse_other_layers(row: StudentRow, planned: NewStudent) -> None:
    if row.pinned and tuple(row.kept) != tuple(planned.kept):
        raise LayersPinned(
            f"The student {row.key} keeps other layers than were planned with.",
            value=list(planned.kept),
            fix="Ask again: what it keeps was measured meanwhile.",
        )


def _learn(session: Session, row: FamilyRow, new: NewFamily) -> None:
    """Keep what the teacher's card says, of a family from before that was kept."""
    if row.about is None and new.about is not None:
        row.about = new.about
        outdate_cards(session, row.id)


def _following(
    session: Session, family: FamilyRow, student: StudentRow, fresh: bool, asked: bool, lacks: bool
) -> Next | None:
    """The job that a family needs whose student is there, or is being made: it `lacks` tasks."""
    if student.state != StudentState.READY:
        return None
    again = lacks or family.measuring == Fact.FAILED
    if fresh or again:
        afresh(family, session.now())
        if again:
            change_measuring(session, family, Measuring.WAITING, None, Actor.REQUEST)
        return "measure"
    return "settle" if asked and family.chosen is not None else None


def led_to(row: FamilyRow, student: StudentRow, created: bool, following: Next | None) -> Created:
    """What a change of a family led to."""
    family, made = record(Family, row), record(Student, student)
    return Created(family=family, student=made, created=created, next=following)


def _lacks_tasks(session: Session, family: FamilyRow) -> bool:
    """Whether a member has no result, or a failed one, of a task that is asked of the family."""
    results = session.scalars(select(MemberRow.tasks).where(MemberRow.family == family.id)).all()
    return any(
        not has_result(found, name, limit)
        for found in results
        for name, limit in (family.tasks or {}).items()
    )
