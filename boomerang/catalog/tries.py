"""How often work was tried in vain that has no row of its own: builds, publications, settling."""

from collections.abc import Mapping

from sqlalchemy import delete

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import FactName
from boomerang.catalog.tables.leases import TryRow

WORK: Mapping[FactName, str] = {"built": "build", "published": "publish"}
"""What makes a fact about a member so."""


def work_of(fact: FactName, digest: str) -> str:
    """The lease under which a fact about the member of this digest is made so."""
    return f"{WORK[fact]}:{digest}"


def tries_of(session: Session, subject: str) -> TryRow:
    """The tries under a lease; none yet where there was no setback."""
    row = session.get(TryRow, subject)
    if row is None:
        row = TryRow(subject=subject, attempts=0, sent=0.0, sends=0)
        session.add(row)
    return row


def forget_tries(session: Session, subject: str) -> None:
    """The work is done, or asked for anew: the next setback is the first one."""
    session.execute(delete(TryRow).where(TryRow.subject == subject))
