"""The catalog: every store as one, over one database.

What it gives are frozen records; what it takes is written in one transaction each, with its
event. It is synchronous and safe to call from many threads and processes at once.
"""

from sqlalchemy import func, select, text

from boomerang.catalog.credentials import CredentialStore
from boomerang.catalog.database import Database
from boomerang.catalog.hooks.following import FollowingStore
from boomerang.catalog.hooks.outbox import NoticeStore
from boomerang.catalog.jobs.figures import FigureStore
from boomerang.catalog.jobs.parked import ParkedStore
from boomerang.catalog.jobs.reading import JobStore
from boomerang.catalog.keys.audit import AuditStore
from boomerang.catalog.keys.keys import KeyStore
from boomerang.catalog.keys.owners import OwnerStore
from boomerang.catalog.keys.turns import TurnStore
from boomerang.catalog.keys.usage import UsageStore
from boomerang.catalog.leases import LeaseStore
from boomerang.catalog.listing.families import ListingStore
from boomerang.catalog.listing.sizes import SizesStore
from boomerang.catalog.reaping import ReapingStore
from boomerang.catalog.records.states import Keying, StudentState
from boomerang.catalog.stores.ending import EndingStore
from boomerang.catalog.stores.events import EventStore
from boomerang.catalog.stores.families import FamilyStore
from boomerang.catalog.stores.files import FileStore
from boomerang.catalog.stores.measuring import MeasuringStore
from boomerang.catalog.stores.members import MemberStore
from boomerang.catalog.stores.provisional import ProvisionalStore
from boomerang.catalog.stores.publications import PublicationStore
from boomerang.catalog.stores.rebuilds import RebuildStore
from boomerang.catalog.stores.requests import RequestStore
from boomerang.catalog.stores.students import StudentStore
from boomerang.catalog.students.distillation import DistillationStore
from boomerang.catalog.students.history import HistoryStore
from boomerang.catalog.students.keeping import KeepingStore
from boomerang.catalog.students.leftovers import LeftoverStore
from boomerang.catalog.students.pruning import PruningStore
from boomerang.catalog.tables import FamilyRow, MemberRow, ProvisionalRow, StudentRow


class Catalog(
    ProvisionalStore,
    RebuildStore,
    FamilyStore,
    EndingStore,
    StudentStore,
    DistillationStore,
    KeepingStore,
    LeftoverStore,
    HistoryStore,
    PruningStore,
    MemberStore,
    MeasuringStore,
    RequestStore,
    PublicationStore,
    CredentialStore,
    FileStore,
    ListingStore,
    SizesStore,
    FollowingStore,
    NoticeStore,
    EventStore,
    UsageStore,
    TurnStore,
    KeyStore,
    OwnerStore,
    AuditStore,
    LeaseStore,
    JobStore,
    FigureStore,
    ParkedStore,
    ReapingStore,
):
    """Everything the service remembers, in SQLite or PostgreSQL."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """Open the database at a SQLAlchemy address; make its tables, or bring older ones up to
        date, where needed.

        Raises BadRequest for another database, for one that a later version has changed, and for
        an older one where it may not `migrate`.
        """
        super().__init__(Database(url, migrate=migrate))

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
            outdated = families.where(FamilyRow.outdated.is_not(None))
            found["families_outdated"] = session.scalar(outdated) or 0
            return found

    def ping(self) -> None:
        """Raise where the database does not answer."""
        with self.db.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        self.db.close()
