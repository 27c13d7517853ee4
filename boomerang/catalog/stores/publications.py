"""Names and repositories, which are given to a family once, and commits that were handed out.

Whoever loads a model by its name must not find another family's there: so a name is kept as long as
its family, and for ever once something was to be published under it.
"""

from collections.abc import Iterator

from sqlalchemy import delete, exists, select, update

from boomerang.catalog.credentials import forget_unneeded
from boomerang.catalog.database import Session
from boomerang.catalog.leases import forget_tries, work_of
from boomerang.catalog.records.families import (
    Member,
    Publication,
    Revision,
    family_name,
    possible_names,
)
from boomerang.catalog.records.states import Fact, Lease
from boomerang.catalog.store import Store, record
from boomerang.catalog.tables import (
    FamilyRow,
    MemberRow,
    NameRow,
    RepoRow,
    RequestRow,
    RevisionRow,
    StaleRow,
)
from boomerang.errors import BadName


class PublicationStore(Store):
    """Names of families, repositories of members, and what was handed out under them."""

    def names(self) -> dict[str, str]:
        """What each family is called, by id, oldest first."""
        with self.db.read() as session:
            return dict(all_names(session))

    def publication(self, repo: str) -> Publication | None:
        """What a repository holds, if something was published to it."""
        with self.db.read() as session:
            row = session.get(RepoRow, repo)
            return None if row is None or not row.card else record(Publication, row)

    def publications(self, family: str) -> tuple[Publication, ...]:
        """What the repositories of a family hold, by name."""
        with self.db.read() as session:
            mine = select(RepoRow).where(RepoRow.family == family, RepoRow.card != "")
            rows = session.scalars(mine.order_by(RepoRow.repo)).all()
            return tuple(record(Publication, row) for row in rows)

    def claim_repo(self, repo: str, family: str, *, lease: Lease | None = None) -> None:
        """Give a repository to a family, for ever.

        Raises BadName where another has it, LostLease.
        """
        with self.db.write(lease) as session:
            row = session.get(RepoRow, repo)
            if row is None:
                session.add(RepoRow(repo=repo, family=family, private=True, card=""))
            elif row.family != family:
                raise BadName(
                    f"{repo!r} was given to the family {row.family}.",
                    value=repo,
                    fix="Publish under another namespace.",
                )

    def set_publication(
        self, publication: Publication, since: float | None = None, *, lease: Lease | None = None
    ) -> None:
        """Keep what a repository holds now.

        With `since` of `stale` it is so no longer, unless more has changed. Raises LostLease.
        """
        with self.db.write(lease) as session:
            session.merge(RepoRow(**vars(publication)))
            _fresh(session, publication.repo, since)

    def repository_lacks(self, repo: str, *, lease: Lease | None = None) -> None:
        """A repository does not hold what was published: have that done again. Raises LostLease."""
        with self.db.write(lease) as session:
            row = session.get(RepoRow, repo)
            if row is not None:
                now = session.now()
                row.made_of = ""
                session.merge(StaleRow(repo=repo, family=row.family, since=now, sent=now, sends=0))

    def stale(self, family: str) -> dict[str, float]:
        """The repositories of a family that may have to be published again, and since when."""
        with self.db.read() as session:
            mine = select(StaleRow.repo, StaleRow.since).where(StaleRow.family == family)
            return {row.repo: row.since for row in session.execute(mine)}

    def not_stale(
        self, repo: str, since: float, digest: str | None = None, *, lease: Lease | None = None
    ) -> None:
        """A repository is left as it is, unless more has changed than `since`.

        Of the member of that `digest` all setbacks are forgotten. Raises LostLease.
        """
        with self.db.write(lease) as session:
            _fresh(session, repo, since)
            if digest is not None:
                forget_tries(session, work_of("published", digest))

    def left_as_it_is(self, member: Member, since: float, reason: str) -> None:
        """A member's repository says less than is known, and stays so for a `reason`."""
        with self.db.write() as session:
            _fresh(session, str(member.repo), since)
            row = session.get(MemberRow, (member.family, member.k))
            if row is not None and row.published_reason != reason:
                row.published_reason = reason
                facts = {"k": row.k, "size": row.size, "fact": "published", "state": row.published}
                session.note("member", {**facts, "reason": reason}, family=row.family)

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


def outdate_cards(session: Session, family: str, but: str | None = None) -> None:
    """Something new is to be said of a family: have its publications looked at, `but` this one."""
    there = select(MemberRow.repo).where(
        MemberRow.family == family,
        MemberRow.published == Fact.YES.value,
        MemberRow.repo.is_not(None),
    )
    now = session.now()
    for repo in session.scalars(there):
        if repo != but:
            session.merge(StaleRow(repo=repo, family=family, since=now, sent=now, sends=0))


def held_repos(session: Session, family: str) -> list[str]:
    """The repositories that something of a family was published to, by name."""
    there = select(RepoRow.repo).where(RepoRow.family == family, RepoRow.card != "")
    return list(session.scalars(there.order_by(RepoRow.repo)))


def outdate_weights(session: Session, family: str) -> None:
    """What was published of a family is of other bytes than its student has now."""
    unknown = update(RepoRow).where(RepoRow.family == family, RepoRow.made_of.is_(None))
    session.execute(unknown.values(made_of=""))


def _fresh(session: Session, repo: str, since: float | None) -> None:
    if since is not None:
        session.execute(delete(StaleRow).where(StaleRow.repo == repo, StaleRow.since <= since))
        forget_unneeded(session)


def give_name(session: Session, row: FamilyRow) -> None:
    """Name a new family; one that was there before has its name again."""
    keep_names(session)
    if session.scalars(select(NameRow).where(NameRow.family == row.id)).first() is None:
        possible = possible_names(row.name, row.teacher, row.id)
        given = session.scalars(select(NameRow).where(NameRow.name.in_(possible)))
        held = {kept.name: kept.teacher for kept in given}
        name = family_name(row.name, row.teacher, row.id, held)
        session.add(NameRow(name=name, family=row.id, teacher=row.teacher))


def keep_names(session: Session) -> None:
    """Write down the names of families from before names were kept."""
    nameless = ~exists().where(NameRow.family == FamilyRow.id)
    if session.scalars(select(FamilyRow.id).where(nameless).limit(1)).first() is None:
        return
    kept = set(session.scalars(select(NameRow.family)))
    for id_, name in all_names(session):
        if id_ not in kept:
            teacher = session.get_one(FamilyRow, id_).teacher
            session.add(NameRow(name=name, family=id_, teacher=teacher))
    session.flush()


def free_name(session: Session, family: str) -> None:
    """Let others have the name of a family that goes, unless it was to be published."""
    keep_names(session)
    asked = select(RequestRow.id).where(RequestRow.family == family, RequestRow.kind == "publish")
    held = select(RepoRow.repo).where(RepoRow.family == family)
    if session.scalars(asked).first() is None and session.scalars(held).first() is None:
        session.execute(delete(NameRow).where(NameRow.family == family))


def all_names(session: Session) -> Iterator[tuple[str, str]]:
    """The id and the name of each family, oldest first, whether its name was kept or not."""
    kept = session.execute(select(NameRow.family, NameRow.name, NameRow.teacher)).all()
    known, held = {id_: name for id_, name, _ in kept}, {name: one for _, name, one in kept}
    facts = select(FamilyRow.id, FamilyRow.name, FamilyRow.teacher)
    for id_, name, teacher in session.execute(facts.order_by(FamilyRow.created, FamilyRow.id)):
        if id_ not in known:
            known[id_] = family_name(name, teacher, id_, held)
            held[known[id_]] = teacher
        yield id_, known[id_]
