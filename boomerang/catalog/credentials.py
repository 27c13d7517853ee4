"""Requesters' tokens, sealed: kept while something of theirs is to be published, and no longer."""

from sqlalchemy import delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.states import Fact, Keying
from boomerang.catalog.store import Store
from boomerang.catalog.tables import (
    CredentialRow,
    MemberRow,
    ProvisionalRow,
    RepoRow,
    RequestRow,
    StaleRow,
)

KEPT_SECONDS = 14 * 86400.0
"""How long at most, for a request that comes to no end."""


class CredentialStore(Store):
    """Credentials, by the id that options of a request and repositories name."""

    def credential(self, name: str) -> str | None:
        """The sealed token, as long as it is kept."""
        with self.db.read() as session:
            row = session.get(CredentialRow, name)
            return None if row is None or row.expires < session.now() else row.sealed

    def forget_credentials(self) -> None:
        """Forget those that have run out, or that nothing needs."""
        with self.db.write() as session:
            forget_unneeded(session)


def keep_credential(session: Session, credential: Credential | None) -> None:
    """Keep a token, if one came, while it is needed; what it published before may be renewed."""
    if credential is None:
        return
    now = session.now()
    values = {"id": credential.id, "sealed": credential.sealed}
    session.merge(CredentialRow(**values, created=now, expires=now + KEPT_SECONDS))
    there = (MemberRow.repo == RepoRow.repo) & (MemberRow.family == RepoRow.family)
    mine = select(RepoRow).join(MemberRow, there)
    mine = mine.where(RepoRow.credential == credential.id, MemberRow.published == Fact.YES.value)
    for row in session.scalars(mine):
        session.merge(StaleRow(repo=row.repo, family=row.family, since=now, sent=0.0, sends=0))
    session.flush()


def forget_unneeded(session: Session) -> None:
    """Forget the tokens of which no open request and no card to be renewed speaks."""
    kept = session.scalars(select(CredentialRow)).all()
    if not kept:
        return
    needed, now = _needed(session), session.now()
    gone = [row.id for row in kept if row.id not in needed or row.expires < now]
    if gone:
        session.execute(delete(CredentialRow).where(CredentialRow.id.in_(gone)))


def _needed(session: Session) -> set[str]:
    unfinished = RequestRow.state.in_((Fact.NO.value, Fact.RUNNING.value))
    options = list(session.scalars(select(RequestRow.options).where(unfinished)))
    hashing = select(ProvisionalRow.requests).where(ProvisionalRow.state == Keying.HASHING.value)
    options += [one["options"] for asked in session.scalars(hashing) for one in asked]
    stale = select(RepoRow.credential).join(StaleRow, StaleRow.repo == RepoRow.repo)
    named = [*(one.get("credential") for one in options), *session.scalars(stale)]
    return {one for one in named if one is not None}
