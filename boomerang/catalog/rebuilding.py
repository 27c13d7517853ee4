"""What becomes of a rebuild within a transaction: asked, found, waited for, over."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.leases import died, holder_of
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.setbacks import afresh
from boomerang.catalog.tables import FamilyRow, RebuildRow, RequestRow, StudentRow
from boomerang.catalog.transitions import REBUILD, Actor, check

OPEN = (Fact.NO.value, Fact.RUNNING.value)


def ask_rebuild(session: Session, family: FamilyRow, force: bool) -> RebuildRow:
    """Keep that a family is to be rebuilt; one that is not over yet is joined."""
    row = open_of(session, family.id)
    if row is None:
        now = session.now()
        row = RebuildRow(family=family.id, force=force, state="", report={}, created=now)
        afresh(row, now)
        session.add(row)
        change_rebuild(session, row, Fact.NO, None, Actor.REQUEST)
    return row


def found_of_student(session: Session, student: str, items: Iterable[Item], by: Actor) -> None:
    """Tell every open rebuild what was found of its student or teacher.

    Whoever asked while they were looked at shares that look.
    """
    found = tuple(items)
    for row in of_student(session, student):
        put(session, row, found, by)


def student_made(session: Session, student: str) -> None:
    """A student was made anew, and looked at for that: what was wrong with it is mended."""
    for row in of_student(session, student):
        before = row.report.get(f"student:{student}") or {}
        found = before.get("found")
        state = "whole" if found is None else "mended"
        made = Item(kind="student", name=student, state=state, found=found, reason="made anew")  # type: ignore[arg-type]
        put(session, row, [made], Actor.WORKER)


def end_rebuilds(session: Session, family: str, reason: str) -> None:
    """End the rebuilds of a family that are not over, on request."""
    row = open_of(session, family)
    if row is not None:
        change_rebuild(session, row, Fact.FAILED, reason, Actor.REQUEST)


def waits(session: Session, row: RebuildRow) -> bool:
    """Whether a rebuild waits for other work: on its student, its measuring, what was asked."""
    family = session.get_one(FamilyRow, row.family)
    student = session.get_one(StudentRow, family.student)
    if not StudentState(student.state).over:
        return True
    if student.state != StudentState.READY:
        return False
    if student.verify is not None or not family.settled:
        return True
    unfinished = select(RequestRow.id).where(
        RequestRow.family == family.id, RequestRow.state.in_(OPEN)
    )
    # Nobody looks after what was asked of a family whose order was never found.
    return family.chosen is not None and session.scalars(unfinished).first() is not None


def unrebuilt(
    session: Session,
    lost: Callable[[RebuildRow], tuple[float | None, str]],
    due: Callable[[RebuildRow], bool],
) -> Iterator[str]:
    """The families whose rebuilds nobody holds and that wait for nothing.

    A worker that was `lost` is counted; of the others those are given that are `due`.
    """
    for row in session.scalars(select(RebuildRow).where(RebuildRow.state.in_(OPEN))).all():
        subject = f"rebuild:{row.family}"
        if holder_of(session, subject) is not None:
            continue
        if died(session, subject):
            wait, said = lost(row)
            if wait is None:
                change_rebuild(session, row, Fact.FAILED, said, Actor.REAPER)
        elif not waits(session, row) and due(row):
            yield row.family


def change_rebuild(
    session: Session, row: RebuildRow, state: Fact, reason: str | None, by: Actor
) -> None:
    """Change a rebuild's state within a transaction, and write the event."""
    check(REBUILD, f"the rebuild {row.id} of {row.family}", row.state, state, by)
    row.state, row.reason = state.value, reason
    if state is Fact.RUNNING:
        row.started = session.now()
    if state in (Fact.YES, Fact.FAILED):
        row.finished, row.due = session.now(), None
    session.flush()
    payload = {"id": row.id, "state": state.value, "force": row.force, "reason": reason}
    session.note("rebuild", payload, family=row.family)


def put(session: Session, row: RebuildRow, items: Iterable[Item], by: Actor) -> None:
    """Keep what was found, in place of what was found of the same before."""
    row.report = {**row.report, **{item.key: asdict(item) for item in items}}
    if row.state == Fact.NO:
        change_rebuild(session, row, Fact.RUNNING, None, by)


def open_of(session: Session, family: str) -> RebuildRow | None:
    """The rebuild of a family that is not over, if there is one."""
    mine = select(RebuildRow).where(RebuildRow.family == family, RebuildRow.state.in_(OPEN))
    return session.scalars(mine).first()


def of_student(session: Session, student: str) -> list[RebuildRow]:
    """The rebuilds of a student's families that are not over."""
    mine = select(RebuildRow).join(FamilyRow, FamilyRow.id == RebuildRow.family)
    mine = mine.where(FamilyRow.student == student, RebuildRow.state.in_(OPEN))
    return list(session.scalars(mine.order_by(RebuildRow.id)))
