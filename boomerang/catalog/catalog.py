"""The catalog: families, students, members, requests, leases, events and content hashes.

What it gives are frozen records; what it takes is written in one transaction each, with its
event. It is synchronous and safe to call from many threads and processes at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, delete, func, or_, select, text
from sqlalchemy.orm import Session

from boomerang.catalog.database import Database
from boomerang.catalog.leases import LeaseStore
from boomerang.catalog.parts.building import BuildingStore
from boomerang.catalog.parts.families import FamilyStore
from boomerang.catalog.parts.members import MemberStore
from boomerang.catalog.parts.provisional import ProvisionalStore, ids_of
from boomerang.catalog.parts.publications import PublicationStore
from boomerang.catalog.parts.requests import WantStore
from boomerang.catalog.parts.revisions import RevisionStore
from boomerang.catalog.parts.students import StudentStore
from boomerang.catalog.reaping import ReapingStore
from boomerang.catalog.records.requests import Event
from boomerang.catalog.records.states import PROGRESS, Keying, StudentState
from boomerang.catalog.store import record
from boomerang.catalog.tables.families import FamilyRow, MemberRow, ProvisionalRow, StudentRow
from boomerang.catalog.tables.files import ComparisonRow, FilesRow, HashRow
from boomerang.catalog.tables.requests import EventRow, SweepRow
from boomerang.checkpoint.sources import FileSource

_AT_ONCE = 1000
"""Names in one question to the database."""


@dataclass(frozen=True)
class Changes:
    """The newest event, and the ids of families and keys of students that changed before it."""

    newest: int
    families: frozenset[str] = frozenset()
    students: frozenset[str] = frozenset()


class Catalog(
    ProvisionalStore,
    FamilyStore,
    StudentStore,
    MemberStore,
    BuildingStore,
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
                statement = statement.where(_of_family(session, family))
            rows = session.scalars(statement.order_by(EventRow.id).limit(limit))
            return tuple(record(Event, row) for row in rows)

    def last_event(self, family: str | None = None) -> int:
        """The id of the newest event (of a family and its student), 0 where there is none."""
        with self.db.read() as session:
            if family is None:
                return self.db.last_event(session)
            mine = _of_family(session, family)
            return session.scalar(select(func.max(EventRow.id)).where(mine)) or 0

    def changes_after(self, event: int) -> Changes:
        """What changed after an event, but for how far distillations are."""
        with self.db.read() as session:
            newest = self.db.last_event(session)
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

    def prune_events(self, days: float) -> int:
        """Forget events of so many days ago that tell nobody anything; return how many.

        Those are the steps of distillations, and all of families and students that are gone. The
        newest event stays, and ids are never given again, so that whoever listens misses none.
        """
        with self.db.write() as session:
            old = EventRow.time < self.db.now(session) - 86400 * days
            gone = EventRow.family.is_not(None) & EventRow.family.not_in(select(FamilyRow.id))
            gone &= EventRow.family.not_in(select(ProvisionalRow.id))
            orphan = EventRow.family.is_(None) & EventRow.student.not_in(select(StudentRow.key))
            last = EventRow.id < self.db.last_event(session)
            statement = delete(EventRow).where(
                old, last, or_(EventRow.kind == PROGRESS, gone, orphan)
            )
            return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]

    def known_hash(self, path: Path) -> str | None:
        """The sha256 of a file, if it was taken of the file as it is now."""
        source = FileSource.of(path)
        return self.known_hashes([source]).get(source)

    def known_hashes(self, sources: Iterable[FileSource]) -> dict[FileSource, str]:
        """The sha256 of those files of which it was taken as they were when they were opened."""
        by_path = {str(source.path.absolute()): source for source in sources}
        found: dict[FileSource, str] = {}
        paths = list(by_path)
        with self.db.read() as session:
            for at in range(0, len(paths), _AT_ONCE):
                some = HashRow.path.in_(paths[at : at + _AT_ONCE])
                for row in session.scalars(select(HashRow).where(some)):
                    source = by_path[row.path]
                    now = (source.size, source.inode, source.mtime_ns)
                    if (row.size, row.inode, row.mtime_ns) == now:
                        found[source] = row.sha256
        return found

    def remember_hash(self, path: Path, sha256: str, source: FileSource | None = None) -> None:
        """Remember a file's sha256; `source` is the file as it was when it was hashed."""
        source = source or FileSource.of(path)
        with self.db.write() as session:
            session.merge(
                HashRow(
                    path=str(path.absolute()),
                    size=source.size,
                    inode=source.inode,
                    mtime_ns=source.mtime_ns,
                    sha256=sha256,
                )
            )

    def hash_of(self, path: Path) -> str | None:
        """The sha256 that was taken of a file last, whatever the file is now."""
        with self.db.read() as session:
            row = session.get(HashRow, str(path.absolute()))
            return None if row is None else row.sha256

    def files_at(self, commit: str) -> dict[str, str] | None:
        """The sha256 of each file of a model at a commit, by path, if they were written down."""
        with self.db.read() as session:
            row = session.get(FilesRow, commit)
            return None if row is None else dict(row.files)

    def remember_files(self, commit: str, files: Mapping[str, str]) -> None:
        """Write down the files of a model at a commit, once it is known that they are whole."""
        with self.db.write() as session:
            session.merge(FilesRow(commit=commit, files=dict(files)))

    def same_embeddings(self, teacher: str, student: str) -> bool | None:
        """Whether two models have the same embeddings, by their commits; None where unknown."""
        with self.db.read() as session:
            row = session.get(ComparisonRow, (teacher, student))
            return None if row is None else row.same

    def remember_same_embeddings(self, teacher: str, student: str, same: bool) -> None:
        """Remember what comparing the embeddings of two models came to, by their commits."""
        with self.db.write() as session:
            session.merge(ComparisonRow(teacher=teacher, student=student, same=same))

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
            hashing = ProvisionalRow.state == Keying.HASHING
            waiting = select(count).select_from(ProvisionalRow).where(hashing)
            found["families_hashing"] = session.scalar(waiting) or 0
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


def _of_family(session: Session, family: str) -> ColumnElement[bool]:
    """The events of a family, under each of its ids, and of its student."""
    ids = ids_of(session, family)
    student = select(FamilyRow.student).where(FamilyRow.id.in_(ids))
    theirs = EventRow.family.is_(None) & EventRow.student.in_(student)
    return or_(EventRow.family.in_(ids), theirs)
