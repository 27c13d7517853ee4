"""Events, as they are read. `Session.note` writes each within the change it tells of."""

from sqlalchemy import ColumnElement, case, false, func, or_, select

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import PROGRESS, PUBLISHING, STEPS, Changes, Event, Fact
from boomerang.catalog.store import Store, record
from boomerang.catalog.stores.provisional import ids_of
from boomerang.catalog.students.history import is_json
from boomerang.catalog.tables import EventRow, FamilyRow

TICKS = (PROGRESS, PUBLISHING, "hashing", "checkpoint")
"""Events that say how far something is; a log leaves them out."""


class EventStore(Store):
    """Events, by id."""

    def events_after(
        self, after: int, family: str | None = None, limit: int = 500, *, thin: bool = False
    ) -> tuple[Event, ...]:
        """The events after one, oldest first: of all, or of a family and its student.

        Where they are `thin`, of the steps of a distillation, and of a family's uploads, only the
        newest is there, however many there were.
        """
        with self.db.read() as session:
            statement = select(EventRow).where(EventRow.id > after)
            if family is not None:
                statement = statement.where(_of_family(session, family))
            if thin:
                newest = select(func.max(EventRow.id)).where(
                    EventRow.id > after, EventRow.kind.in_(STEPS)
                )
                told = newest.group_by(EventRow.kind, EventRow.student, EventRow.family)
                statement = statement.where(or_(EventRow.kind.not_in(STEPS), EventRow.id.in_(told)))
            rows = session.scalars(statement.order_by(EventRow.id).limit(limit))
            return tuple(record(Event, row) for row in rows)

    def log(
        self, family: str, before: int | None = None, limit: int = 50
    ) -> tuple[tuple[Event, ...], bool]:
        """What happened to a family and its student, newest first, and whether there is more.

        How far distillations, measurings and uploads are is left out, and that a checkpoint was
        written: they would be most of it.
        """
        with self.db.read() as session:
            statement = select(EventRow).where(_of_family(session, family))
            statement = statement.where(EventRow.kind.not_in(TICKS), ~so_far(session))
            if before is not None:
                statement = statement.where(EventRow.id < before)
            newest = statement.order_by(EventRow.id.desc()).limit(limit + 1)
            found = tuple(record(Event, row) for row in session.scalars(newest))
            return found[:limit], len(found) > limit

    def last_event(self, family: str | None = None) -> int:
        """The id of the newest event (of a family and its student), 0 where there is none."""
        with self.db.read() as session:
            if family is None:
                return session.last_event()
            mine = _of_family(session, family)
            return session.scalar(select(func.max(EventRow.id)).where(mine)) or 0

    def changes_after(self, event: int) -> Changes:
        """What changed after an event, but for how far distillations are."""
        with self.db.read() as session:
            newest = session.last_event()
            if newest == event:
                return Changes(newest)
            statement = select(EventRow.family, EventRow.student).distinct()
            since = EventRow.id.between(event + 1, newest) & (EventRow.kind != PROGRESS)
            found = session.execute(statement.where(since)).all()
            return Changes(
                newest,
                frozenset(family for family, _ in found if family is not None),
                frozenset(student for _, student in found if student is not None),
            )


def so_far(session: Session) -> ColumnElement[bool]:
    """How far a measuring is: it runs, for a reason that says that; or figures of a part."""
    state, reason, fact, figure = (
        EventRow.payload[name].as_string() for name in ("state", "reason", "fact", "perplexity")
    )
    runs = (EventRow.kind == "measuring") & (state == Fact.RUNNING) & reason.is_not(None)
    part = (EventRow.kind == "member") & (fact == "measured") & (state == Fact.NO)
    of = EventRow.kind.in_(("measuring", "member")) & is_json(session)
    # Nothing but what is of these kinds is taken apart.
    return case((of, runs | (part & figure.is_not(None))), else_=false())


def _of_family(session: Session, family: str) -> ColumnElement[bool]:
    """The events of a family, under each of its ids, and of its student."""
    ids = ids_of(session, family)
    student = select(FamilyRow.student).where(FamilyRow.id.in_(ids))
    theirs = EventRow.family.is_(None) & EventRow.student.in_(student)
    return or_(EventRow.family.in_(ids), theirs)
