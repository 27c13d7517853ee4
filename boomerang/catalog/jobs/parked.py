"""Poison: jobs that were given up as they kill whoever takes them, and messages nobody can read."""

from typing import Any

from sqlalchemy import delete, func, select

from boomerang.catalog.database import Session
from boomerang.catalog.jobs.failed import KINDS
from boomerang.catalog.records.jobs import Job, Stage
from boomerang.catalog.store import Store
from boomerang.catalog.tables import UnreadRow

_LONGEST_NAME, _LONGEST_REASON = 200, 300


class ParkedStore(Store):
    """What is parked until somebody asks for it anew."""

    def parked(self) -> int:
        """How many jobs are parked, with the kinds of messages that could not be read."""
        with self.db.read() as session:
            return sum(_count(session, rows.where(parked)) for rows, parked, _ in KINDS) + _count(
                session, select(UnreadRow)
            )

    def message_unread(self, task: str, reason: str) -> None:
        """A worker could not read a message of a task; what was in it is not kept."""
        with self.db.write() as session:
            name, now = (task or "no name")[:_LONGEST_NAME].replace("\0", " "), session.now()
            row = session.get(UnreadRow, name)
            if row is None:
                row = UnreadRow(task=name, times=0, first=now)
                session.add(row)
            row.reason, row.times, row.last = reason[:_LONGEST_REASON], row.times + 1, now

    def forget_unread(self, days: float) -> None:
        """Forget messages that could not be read so many days ago."""
        with self.db.write() as session:
            old = UnreadRow.last < session.now() - 86400 * days
            session.execute(delete(UnreadRow).where(old))


def unread(session: Session, limit: int) -> tuple[list[Job], int]:
    """The newest messages that nobody could read, a job for each task; and how many there are."""
    rows = select(UnreadRow).order_by(UnreadRow.last.desc())
    jobs = [
        Job(kind="message", stage=Stage.FAILED, what=row.task, since=row.last, reason=row.reason,
            attempts=row.times, parked=True)
        for row in session.scalars(rows.limit(limit))
    ]  # fmt: skip
    return jobs, len(jobs) if len(jobs) < limit else _count(session, select(UnreadRow))


def _count(session: Session, rows: Any) -> int:
    counted = select(func.count()).select_from(rows.order_by(None).subquery())
    return session.scalar(counted) or 0
