"""Who works on what: leases that expire, with a number that grows at each change of hands.

A holder that was given up for dead may wake up and write. The fence settles it: a write that
names a lease is refused as soon as somebody else has taken that lease since.
"""

import os
import socket
import uuid
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from boomerang.catalog.database import Database
from boomerang.catalog.setbacks import achieved
from boomerang.catalog.store import Store, family_row, student_row
from boomerang.catalog.tables.requests import LeaseRow
from boomerang.errors import BoomerangError


class LostLease(BoomerangError):
    """Somebody else took over: whoever sees this must stop and write nothing more."""

    slug, title = "lost-lease", "Another worker took over"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `subject`; `fence` is larger than that of every earlier holder."""

    subject: str
    holder: str
    fence: int
    expires: float


class LeaseStore(Store):
    """The part of the catalog that knows who works on what."""

    def lease_acquire(self, subject: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free or expired; None while somebody else holds it."""
        with self.db.write() as session:
            now = self.db.now(session)
            row = session.get(LeaseRow, subject)
            if row is None:
                row = LeaseRow(subject=subject, holder=None, fence=0, expires=0.0)
                session.add(row)
            if row.holder is not None and row.expires > now:
                return None
            row.holder, row.fence, row.expires = holder, row.fence + 1, now + seconds
            return Lease(subject, holder, row.fence, row.expires)

    def lease_renew(self, lease: Lease, seconds: float) -> bool:
        """Prolong a lease; False where somebody else has taken it since."""
        with self.db.write() as session:
            row = session.get(LeaseRow, lease.subject)
            if row is None or (row.holder, row.fence) != (lease.holder, lease.fence):
                return False
            row.expires = self.db.now(session) + seconds
            return True

    def lease_release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens where somebody else has taken it since."""
        with self.db.write() as session:
            row = session.get(LeaseRow, lease.subject)
            if row is not None and (row.holder, row.fence) == (lease.holder, lease.fence):
                row.holder, row.expires = None, 0.0

    def lease_achieved(self, lease: Lease) -> None:
        """The work on a student or a family got further: its next setback is the first one.

        Raises LostLease, NotFound.
        """
        kind, _, name = lease.subject.partition(":")
        with self.db.write() as session:
            guard(session, lease)
            if kind == "student":
                achieved(student_row(session, name))
            elif kind == "family":
                achieved(family_row(session, name))

    def lease_holder(self, subject: str) -> str | None:
        """Who holds a lease now, if anybody."""
        with self.db.read() as session:
            return holder_of(self.db, session, subject)


def holder_of(db: Database, session: Session, subject: str) -> str | None:
    """Who holds a lease that has not expired."""
    row = session.get(LeaseRow, subject)
    return row.holder if row is not None and row.expires > db.now(session) else None


def died(db: Database, session: Session, subject: str) -> bool:
    """Whether a lease ran out in its holder's hands, told once: nobody has it afterwards."""
    row = session.get(LeaseRow, subject)
    if row is None or row.holder is None or row.expires > db.now(session):
        return False
    row.holder = None
    return True


def revoke(session: Session, subject: str) -> None:
    """Take a lease away: what its holder works on is no longer what it was."""
    row = session.get(LeaseRow, subject)
    if row is not None:
        row.holder, row.expires = None, 0.0


def guard(session: Session, lease: Lease | None) -> None:
    """Refuse a write of a holder that was replaced. Raises LostLease."""
    if lease is None:
        return
    row = session.get(LeaseRow, lease.subject)
    if row is None or (row.holder, row.fence) != (lease.holder, lease.fence):
        raise LostLease(
            f"The lease {lease.fence} of {lease.subject} was lost.",
            value=lease.subject,
            fix="Let the new holder finish.",
        )


@cache
def this_holder() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
