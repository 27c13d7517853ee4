"""The part of the catalog about revisions: what a member was like at a commit that was handed out.

The weights of a member are its teacher's and its student's, but its card changes with what is
measured. What a commit names can be written again from this and the two models.
"""

from dataclasses import dataclass
from typing import Any

from boomerang.catalog.store import Store, record
from boomerang.catalog.tables.families import FamilyRow
from boomerang.catalog.tables.names import RevisionRow


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A member at a commit: its family, the name it had, its card, and `facts` of its record."""

    commit: str
    family: str
    repo: str
    card: str
    facts: dict[str, Any]


class RevisionStore(Store):
    """Revisions, by commit. They go with their family."""

    def remember_revision(self, revision: Revision) -> None:
        """Keep what a commit stands for, before anybody is told of it."""
        with self.db.read() as session:
            if session.get(RevisionRow, revision.commit) is not None:
                return
        with self.db.write() as session:
            if session.get(FamilyRow, revision.family) is None:
                return  # deleted since it was read
            session.merge(RevisionRow(**vars(revision)))

    def revision(self, commit: str) -> Revision | None:
        """What a commit stands for, if one of ours it is."""
        with self.db.read() as session:
            row = session.get(RevisionRow, commit)
            return None if row is None else record(Revision, row)
