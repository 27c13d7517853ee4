"""What is forgotten in time, so that the catalog stays as large as what it is about.

Old events are rolled up: of the steps of a student the curve stays, in some 300 points; what only
says how far something was goes; of all else each family and each student keep the newest.
"""

import time
from collections.abc import Iterator
from itertools import chain

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import PROGRESS
from boomerang.catalog.store import Store
from boomerang.catalog.stores.events import TICKS, so_far
from boomerang.catalog.students.history import worth_keeping
from boomerang.catalog.tables import EventRow, FamilyRow, ProvisionalRow, StudentRow, UsageRow

KEPT = 500
"""Old events that a family, or a student, keeps beside the curve; together with what is newer."""
BATCH = 1000
"""Rows that are removed in one transaction: other writers wait for no more."""
PAUSE = 0.1
"""Seconds between two such transactions."""


class PruningStore(Store):
    """What is forgotten of families, students and keys."""

    def prune_events(self, days: float, *, dry_run: bool = False) -> int:
        """Forget events of so many days ago that tell nobody anything; return how many.

        Those are how far distillations, measurings, uploads and hashings were, but for what the
        curve of a student is drawn from; all of families and students that are gone; and of each
        that is there what is older than its newest KEPT. The newest event stays, and ids are never
        given again, so that whoever listens misses none. With `dry_run` they are only counted.
        """
        with self.db.read() as session:
            found = sorted(set(_told_enough(session, session.now() - 86400 * days)))
        if dry_run:
            return len(found)
        gone = 0
        # What was found stays what it was, so it is removed without a look at the others.
        for start in range(0, len(found), BATCH):
            ids = found[start : start + BATCH]
            with self.db.write() as session:
                removed = session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
                gone += int(removed.rowcount)  # type: ignore[attr-defined]
            # SQLite's writers do not queue: one that waits looks every tenth of a second.
            time.sleep(PAUSE if start + BATCH < len(found) else 0)
        return gone

    def prune_usage(self, days: float) -> int:
        """Forget how much keys used on days that are longer ago; return how many rows went."""
        with self.db.write() as session:
            oldest = int(session.now() // 86400 - days)
            removed = session.execute(delete(UsageRow).where(UsageRow.day < oldest))
            return int(removed.rowcount)  # type: ignore[attr-defined]


def _told_enough(session: Session, before: float) -> Iterator[int]:
    """The ids of old events that nobody needs; one may be there more than once."""
    old = (EventRow.time < before) & (EventRow.id < session.last_event())
    gone = EventRow.family.is_not(None) & EventRow.family.not_in(select(FamilyRow.id))
    gone &= EventRow.family.not_in(select(ProvisionalRow.id))
    orphan = EventRow.family.is_(None) & EventRow.student.not_in(select(StudentRow.key))
    drawn = (EventRow.kind == PROGRESS) & EventRow.id.in_(worth_keeping(session))
    ticks = or_(EventRow.kind.in_(TICKS), so_far(session)) & ~drawn
    yield from session.scalars(select(EventRow.id).where(old, or_(ticks, gone, orphan)))
    of_family, of_student = EventRow.family.is_not(None), EventRow.family.is_(None)
    yield from chain(
        _beyond(session, EventRow.family, old, of_family),
        _beyond(session, EventRow.student, old, of_student),
    )


def _beyond(
    session: Session, of: InstrumentedAttribute[str | None], old: ColumnElement[bool],
    whose: ColumnElement[bool],
) -> Iterator[int]:  # fmt: skip
    """Of each that has more than KEPT events of what a log shows, the others that are old."""
    shown = whose & EventRow.kind.not_in(TICKS)
    many = select(of).where(shown, of.is_not(None)).group_by(of).having(func.count() > KEPT)
    for subject in session.scalars(many).all():
        newest = select(EventRow.id).where(shown, of == subject).order_by(EventRow.id.desc())
        last = session.scalar(newest.offset(KEPT - 1).limit(1))
        yield from session.scalars(
            select(EventRow.id).where(shown, old, of == subject, EventRow.id < last)
        )
