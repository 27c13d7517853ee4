"""The part of the catalog about names and repositories, which are given to a family once.

Whoever loads a model by its name must not find another family's there: so a name is kept as long as
its family, and for ever once something was to be published under it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from boomerang.errors import BadName
from boomerang.service.leases import Lease, guard
from boomerang.service.models import FamilyRow, NameRow, RepoRow, WantRow
from boomerang.service.names import family_name
from boomerang.service.store import Store, record


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a repository of the Hub holds: of which family, who sees it, and the card's sha256."""

    repo: str
    family: str
    private: bool
    card: str


class PublicationStore(Store):
    """Names of families, and repositories of members."""

    def names(self) -> dict[str, str]:
        """What each family is called, by id, oldest first."""
        with self.db.read() as session:
            return dict(_names(session))

    def publication(self, repo: str) -> Publication | None:
        """What a repository holds, if something was published to it."""
        with self.db.read() as session:
            row = session.get(RepoRow, repo)
            return None if row is None or not row.card else record(Publication, row)

    def claim_repo(self, repo: str, family: str, *, lease: Lease | None = None) -> None:
        """Give a repository to a family, for ever.

        Raises BadName where another has it, LostLease.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = session.get(RepoRow, repo)
            if row is None:
                session.add(RepoRow(repo=repo, family=family, private=True, card=""))
            elif row.family != family:
                raise BadName(
                    f"{repo!r} was given to the family {row.family}.",
                    value=repo,
                    fix="Publish under another namespace.",
                )

    def set_publication(self, publication: Publication, *, lease: Lease | None = None) -> None:
        """Keep what a repository holds now. Raises LostLease."""
        with self.db.write() as session:
            guard(session, lease)
            facts = {name: getattr(publication, name) for name in ("repo", "family", "private")}
            session.merge(RepoRow(**facts, card=publication.card))


def give_name(session: Session, row: FamilyRow) -> None:
    """Name a new family; one that was there before has its name again."""
    keep_names(session)
    if session.scalars(select(NameRow).where(NameRow.family == row.id)).first() is None:
        held = {kept.name: kept.teacher for kept in session.scalars(select(NameRow))}
        name = family_name(row.name, row.teacher, row.id, held)
        session.add(NameRow(name=name, family=row.id, teacher=row.teacher))


def keep_names(session: Session) -> None:
    """Write down the names of families from before names were kept."""
    kept = set(session.scalars(select(NameRow.family)))
    for id_, name in _names(session):
        if id_ not in kept:
            teacher = session.get_one(FamilyRow, id_).teacher
            session.add(NameRow(name=name, family=id_, teacher=teacher))
    session.flush()


def free_name(session: Session, family: str) -> None:
    """Let others have the name of a family that goes, unless it was to be published."""
    keep_names(session)
    asked = select(WantRow.id).where(WantRow.family == family, WantRow.kind == "publish")
    held = select(RepoRow.repo).where(RepoRow.family == family)
    if session.scalars(asked).first() is None and session.scalars(held).first() is None:
        session.execute(delete(NameRow).where(NameRow.family == family))


def _names(session: Session) -> Iterator[tuple[str, str]]:
    kept = session.execute(select(NameRow.family, NameRow.name, NameRow.teacher)).all()
    known, held = {id_: name for id_, name, _ in kept}, {name: one for _, name, one in kept}
    facts = select(FamilyRow.id, FamilyRow.name, FamilyRow.teacher)
    for id_, name, teacher in session.execute(facts.order_by(FamilyRow.created, FamilyRow.id)):
        if id_ not in known:
            known[id_] = family_name(name, teacher, id_, held)
            held[known[id_]] = teacher
        yield id_, known[id_]
