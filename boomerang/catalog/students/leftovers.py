"""What lies on a disk and nobody needs any more: asked, and let go of while nobody can begin to.

Every need begins with a change in the catalog (a family that is asked for, a lease that is taken),
and changes come one after another. So what is asked and done within one of them cannot be
overtaken: whoever comes later finds the thing gone, and has it made again.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.leases import WORK, work_of
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import Origin
from boomerang.catalog.store import Store
from boomerang.catalog.tables import FamilyRow, LeaseRow, MemberRow, RebuildRow, StudentRow

DOUBT_SECONDS = 600.0
"""How long after its end a lease that nobody gave back still counts: its holder may only be slow.
"""
_OPEN = (StudentState.QUEUED.value, StudentState.DISTILLING.value)


class Leftover(StrEnum):
    """What may be let go of, each by the name that it has in the catalog.

    A `teacher` by its commit, whole or in part; a student that is being fetched or written, by its
    key, never one that is there; what is fetched `beside` a model that is there whole; the `run` of
    a student, and that which somebody `named`; a `member` by its digest, and `building` it.
    """

    TEACHER = "teacher"
    BESIDE = "beside"
    STUDENT_FETCHING = "student fetching"
    STUDENT_WRITING = "student writing"
    RUN = "run"
    NAMED_RUN = "named run"
    MEMBER = "member"
    BUILDING = "building"


class LeftoverStore(Store):
    """Whether something that lies on a disk is needed."""

    def needed(self, kind: Leftover, name: str) -> str | None:
        """What a thing is needed for, in words; None where nothing needs it."""
        with self.db.read() as session:
            return _NEEDS[kind](session, name)

    def let_go(self, kind: Leftover, name: str, act: Callable[[], object]) -> str | None:
        """Do `act` where nothing needs a thing, and else say what does.

        `act` must be quick: no other change is made meanwhile. What it raises is raised.
        """
        with self.db.write() as session:
            why = _NEEDS[kind](session, name)
            if why is None:
                act()
            return why


def _held(session: Session, *subjects: str) -> str | None:
    for subject in subjects:
        row = session.get(LeaseRow, subject)
        if row is not None and row.holder and row.expires > session.now() - DOUBT_SECONDS:
            return f"somebody works on it ({subject.partition(':')[0]})"
    return None


def _teacher(session: Session, commit: str) -> str | None:
    if why := _held(session, f"fetch:{commit}"):
        return why
    mine = StudentRow.teacher_commit == commit, StudentRow.teacher_source.is_(None)
    family = session.scalars(
        select(FamilyRow.id).join(StudentRow, StudentRow.key == FamilyRow.student).where(*mine)
    ).first()
    if family is not None:
        return f"the family {family} needs it"
    for key, state, verify in session.execute(
        select(StudentRow.key, StudentRow.state, StudentRow.verify).where(*mine)
    ):
        if state in _OPEN or verify is not None or _held(session, f"student:{key}"):
            return f"the student {key} is being made or looked at"
    return _base(session, commit) or _unknown_work(session)


def _base(session: Session, commit: str) -> str | None:
    """A student that is to be made from that of another teacher, of this commit."""
    open_ = select(StudentRow.key, StudentRow.recipe).where(StudentRow.state.in_(_OPEN))
    for key, recipe in session.execute(open_):
        delta = recipe.get("delta")
        if delta is None:
            continue
        of = session.get(StudentRow, delta["base_student"])
        if commit in (delta.get("base_commit"), None if of is None else of.teacher_commit):
            return f"the student {key} is made from it"
    return None


def _unknown_work(session: Session) -> str | None:
    """Work that goes on although what it is of was deleted: it may read any model."""
    since = session.now() - DOUBT_SECONDS
    held = select(LeaseRow.subject).where(LeaseRow.holder.is_not(None), LeaseRow.expires > since)
    for subject in session.scalars(held):
        kind, _, name = subject.partition(":")
        if kind == "family" and session.get(FamilyRow, name) is None:
            return f"work on the family {name} has not ended, which was deleted"
        if kind in WORK.values() and not _referenced(session, name):
            return f"work on the member {name} has not ended, which was deleted"
    return None


def _beside(session: Session, name: str) -> str | None:
    return _held(session, f"fetch:{name}")


def _student_fetching(session: Session, key: str) -> str | None:
    if why := _held(session, f"fetch:{key}", f"student:{key}"):
        return why
    row = session.get(StudentRow, key)
    if row is None:
        return None
    if row.state in _OPEN:
        return "the student waits for it"
    family = session.scalars(select(FamilyRow.id).where(FamilyRow.student == key)).first()
    return None if family is None else f"the family {family} needs it"


def _student_writing(session: Session, key: str) -> str | None:
    return _held(session, f"student:{key}")


def _run(session: Session, key: str) -> str | None:
    if why := _named_run(session, key):
        return why
    row = session.get(StudentRow, key)
    if row is None:
        return "the catalog knows no such student"
    if row.state != StudentState.READY:
        return f"its student is {row.state}, and may go on from it"
    if row.verify is not None:
        return "its student is to be verified"
    if row.origin == Origin.DISTILLED and row.files is None:
        return "its student was never verified"
    for family in session.scalars(select(FamilyRow).where(FamilyRow.student == key)):
        if family.measuring in (Fact.RUNNING, Fact.FAILED) or not family.settled:
            return f"the family {family.id} is not measured to the end"
    return None


def _named_run(session: Session, key: str) -> str | None:
    families = select(FamilyRow.id).where(FamilyRow.student == key)
    ids = session.scalars(families).all()
    if why := _held(session, f"student:{key}", *(f"family:{id_}" for id_ in ids)):
        return why
    row = session.get(StudentRow, key)
    if row is not None and row.state == StudentState.DISTILLING:
        return "its student is being distilled"
    wanted = select(RebuildRow.family).where(
        RebuildRow.family.in_(families), RebuildRow.finished.is_(None)
    )
    rebuilt = session.scalars(wanted).first()
    return None if rebuilt is None else f"the family {rebuilt} is being rebuilt"


def _member(session: Session, digest: str) -> str | None:
    if why := _held(session, work_of("built", digest), work_of("published", digest)):
        return why
    return "a family has it" if _referenced(session, digest) else None


def _building(session: Session, digest: str) -> str | None:
    return _held(session, work_of("built", digest))


def _referenced(session: Session, digest: str) -> bool:
    statement = select(MemberRow.digest).where(MemberRow.digest == digest)
    return session.scalars(statement).first() is not None


_NEEDS: Mapping[Leftover, Callable[[Session, str], str | None]] = {
    Leftover.TEACHER: _teacher,
    Leftover.BESIDE: _beside,
    Leftover.STUDENT_FETCHING: _student_fetching,
    Leftover.STUDENT_WRITING: _student_writing,
    Leftover.RUN: _run,
    Leftover.NAMED_RUN: _named_run,
    Leftover.MEMBER: _member,
    Leftover.BUILDING: _building,
}
