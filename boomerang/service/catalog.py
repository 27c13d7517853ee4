"""The catalog: families, students, members, requests, leases, events and content hashes.

What it gives are frozen records; what it takes is written in one transaction each, with its
event. It is synchronous and safe to call from many threads and processes at once.
"""

import os
from pathlib import Path

from sqlalchemy import delete, func, or_, select, text

from boomerang.service.database import Database
from boomerang.service.families import FamilyStore
from boomerang.service.leases import LeaseStore
from boomerang.service.members import MemberStore
from boomerang.service.models import EventRow, FamilyRow, HashRow, MemberRow, StudentRow, SweepRow
from boomerang.service.publications import PublicationStore
from boomerang.service.reaping import ReapingStore
from boomerang.service.records import Event, StudentState
from boomerang.service.revisions import RevisionStore
from boomerang.service.store import record
from boomerang.service.students import StudentStore
from boomerang.service.wants import WantStore


class Catalog(
    FamilyStore,
    StudentStore,
    MemberStore,
    RevisionStore,
    WantStore,
    PublicationStore,
    LeaseStore,
    ReapingStore,
):
    """Everything the service remembers, in SQLite or PostgreSQL."""

    def __init__(self, url: str) -> None:
        """Open the database at a SQLAlchemy address, and create its tables where needed.

        Raises BadRequest for another database, or one of another schema version.
        """
        super().__init__(Database(url))

    def events_after(
        self, after: int, family: str | None = None, limit: int = 500
    ) -> tuple[Event, ...]:
        """The events after one, oldest first: of all, or of a family and its student."""
        with self.db.read() as session:
            statement = select(EventRow).where(EventRow.id > after)
            if family is not None:
                student = select(FamilyRow.student).where(FamilyRow.id == family)
                mine = or_(
                    EventRow.family == family,
                    EventRow.family.is_(None) & (EventRow.student == student.scalar_subquery()),
                )
                statement = statement.where(mine)
            rows = session.scalars(statement.order_by(EventRow.id).limit(limit))
            return tuple(record(Event, row) for row in rows)

    def last_event(self, family: str | None = None) -> int:
        """The id of the newest event (of a family and its student), 0 where there is none."""
        with self.db.read() as session:
            if family is None:
                return self.db.last_event(session)
            student = select(FamilyRow.student).where(FamilyRow.id == family)
            mine = or_(EventRow.family == family, EventRow.student == student.scalar_subquery())
            return session.scalar(select(func.max(EventRow.id)).where(mine)) or 0

    def known_hash(self, path: Path) -> str | None:
        """The sha256 of a file, if it was taken of the file as it is now."""
        status = path.stat()
        with self.db.read() as session:
            row = session.get(HashRow, str(path.absolute()))
            now = (status.st_size, status.st_ino, status.st_mtime_ns)
            same = row is not None and (row.size, row.inode, row.mtime_ns) == now
            return row.sha256 if row is not None and same else None

    def remember_hash(self, path: Path, sha256: str, status: os.stat_result | None = None) -> None:
        """Remember a file's sha256; `status` is the file's from before it was hashed."""
        status = status or path.stat()
        with self.db.write() as session:
            session.merge(
                HashRow(
                    path=str(path.absolute()),
                    size=status.st_size,
                    inode=status.st_ino,
                    mtime_ns=status.st_mtime_ns,
                    sha256=sha256,
                )
            )

    def hash_of(self, path: Path) -> str | None:
        """The sha256 that was taken of a file last, whatever the file is now."""
        with self.db.read() as session:
            row = session.get(HashRow, str(path.absolute()))
            return None if row is None else row.sha256

    def sweeps(self) -> tuple[str, ...]:
        """The digests of members whose folders are to be removed where they belong to nobody."""
        with self.db.read() as session:
            return tuple(session.scalars(select(SweepRow.digest).order_by(SweepRow.digest)))

    def swept(self, digest: str) -> None:
        """A member's folder is gone, or belongs to somebody again."""
        with self.db.write() as session:
            session.execute(delete(SweepRow).where(SweepRow.digest == digest))

    def counts(self) -> dict[str, int]:
        """How many families, members and students (by state) there are."""
        with self.db.read() as session:
            count = func.count()
            states = session.execute(select(StudentRow.state, count).group_by(StudentRow.state))
            found = {f"students_{state}": 0 for state in StudentState} | {
                f"students_{state}": number for state, number in states
            }
            for fact in ("built", "published", "measured"):
                column = getattr(MemberRow, fact)
                having = select(count).select_from(MemberRow).where(column == "yes")
                found[f"members_{fact}"] = session.scalar(having) or 0
            families = select(count).select_from(FamilyRow)
            found["families"] = session.scalar(families) or 0
            return found

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.db.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self.db.close()
