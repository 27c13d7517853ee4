"""Who works on what: leases that expire, with a number that grows at each change of hands.

A holder that was given up for dead may wake up and write. The fence settles it: a write that
names a lease is refused as soon as somebody else has taken that lease since. How often work was
tried in vain that has no row of its own (builds, publications, settling) is kept by its lease.
"""

import os
import socket
import uuid
from collections.abc import Mapping
from functools import cache

from sqlalchemy import delete, select, tuple_, update

from boomerang.catalog.database import Session
from boomerang.catalog.records.states import FactName, Lease
from boomerang.catalog.setbacks import achieved
from boomerang.catalog.store import Store, family_row, student_row
from boomerang.catalog.tables import LeaseRow, TryRow

LOOK = "look"
"""The lease that says when somebody is to look for lost jobs again."""
_CLOCK_SECONDS = 5.0
"""Two transactions may see the database's clock so far apart; one set back is further."""
_KNOWN = "leases"


class LeaseStore(Store):
    """Leases, by what they are of."""

    def lease_acquire(self, subject: str, holder: str, seconds: float) -> Lease | None:
        """Take a lease that is free or expired; None while somebody else holds it."""
        with self.db.write() as session:
            return acquire(session, subject, holder, seconds)

    def lease_renew(self, lease: Lease, seconds: float) -> bool:
        """Prolong a lease; False where somebody else has taken it since."""
        mine = (LeaseRow.subject, LeaseRow.holder, LeaseRow.fence)
        is_mine = tuple_(*mine) == tuple_(lease.subject, lease.holder, lease.fence)
        with self.db.renew() as session:
            renewed = update(LeaseRow).where(is_mine).values(expires=session.now() + seconds)
            return bool(session.execute(renewed).rowcount)  # type: ignore[attr-defined]

    def lease_release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens where somebody else has taken it since."""
        with self.db.write() as session:
            row = session.held(lease)
            if row is not None:
                row.holder, row.expires = None, 0.0

    def lease_achieved(self, lease: Lease) -> None:
        """The work on a student or a family got further: its next setback is the first one."""
        kind, _, name = lease.subject.partition(":")
        with self.db.write(lease) as session:
            if kind == "student":
                achieved(student_row(session, name))
            elif kind == "family":
                achieved(family_row(session, name))

    def look_due(self, seconds: float) -> bool:
        """Whether nobody looked for lost jobs for so long; whoever hears so looks, and no other.

        When the next look is due is kept as a lease that nobody holds. Where the database's clock
        was set back since, a look is due as well.
        """
        with self.db.read() as session:
            row = session.get(LeaseRow, LOOK)
            if row is not None and not _is_due(row, session.now(), seconds):
                return False
        with self.db.write() as session:
            row, now = session.get(LeaseRow, LOOK), session.now()
            if row is None:
                row = LeaseRow(subject=LOOK, holder=None, fence=0, expires=0.0)
                session.add(row)
            due = _is_due(row, now, seconds)
            if due:
                row.expires = now + seconds
            return due

    def lease_holder(self, subject: str) -> str | None:
        """Who holds a lease now, if anybody."""
        with self.db.read() as session:
            return holder_of(session, subject)


def _is_due(row: LeaseRow, now: float, seconds: float) -> bool:
    return not 0 < row.expires - now <= seconds + _CLOCK_SECONDS


def acquire(session: Session, subject: str, holder: str, seconds: float) -> Lease | None:
    """Take a lease that is free or expired within a transaction; None while somebody holds it."""
    # Its holder may be about to renew it, and waits for no writer.
    row, now = session.get(LeaseRow, subject, with_for_update=True), session.now()
    if row is None:
        row = LeaseRow(subject=subject, holder=None, fence=0, expires=0.0)
        session.add(row)
    if row.holder is not None and row.expires > now:
        return None
    row.holder, row.fence, row.expires = holder, row.fence + 1, now + seconds
    row.since = now
    return Lease(subject, holder, row.fence, row.expires)


def holder_of(session: Session, subject: str) -> str | None:
    """Who holds a lease that has not expired."""
    row = _decided(session, subject)
    return row.holder if row is not None and row.expires > session.now() else None


def know_leases(session: Session) -> None:
    """Read all leases that are held, or ran out in somebody's hands, with one question.

    It is for a writer that asks for very many, and takes none itself.
    """
    rows = session.scalars(
        select(LeaseRow).where(LeaseRow.expires > 0, LeaseRow.holder.is_not(None))
    )
    session.info[_KNOWN] = {row.subject: row for row in rows}


def _decided(session: Session, subject: str) -> LeaseRow | None:
    """The row of a lease; in a writer's hands one that ran out cannot be renewed meanwhile."""
    known = session.info.get(_KNOWN)
    row = session.get(LeaseRow, subject) if known is None else known.get(subject)
    if row is None or row.holder is None or not session.writes or row.expires > session.now():
        return row
    return session.get(LeaseRow, subject, with_for_update=True, populate_existing=True)


def died(session: Session, subject: str) -> bool:
    """Whether a lease ran out in its holder's hands, told once: nobody has it afterwards."""
    row = _decided(session, subject)
    if row is None or row.holder is None or row.expires > session.now():
        return False
    row.holder = None
    return True


def lost_leases(session: Session) -> set[str]:
    """The leases that ran out in somebody's hands, and that no look has seen yet.

    What they are of is taken by no other's bell: a worker that it killed, and that came back before
    there was such a look, would begin it again and again, and nobody would count that.
    """
    over = select(LeaseRow.subject).where(
        LeaseRow.expires <= session.now(), LeaseRow.holder.is_not(None)
    )
    return set(session.scalars(over))


def revoke(session: Session, subject: str) -> None:
    """Take a lease away: what its holder works on is no longer what it was."""
    row = session.get(LeaseRow, subject)
    if row is not None:
        row.holder, row.expires = None, 0.0


@cache
def this_holder() -> str:
    """A name for this process that no other has had."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


WORK: Mapping[FactName, str] = {"built": "build", "published": "publish"}
"""What makes a fact about a member so."""


def work_of(fact: FactName, digest: str) -> str:
    """The lease under which a fact about the member of this digest is made so."""
    return f"{WORK[fact]}:{digest}"


def keeping_of(key: str) -> str:
    """The lease under which a student is pushed to the Hub."""
    return f"keep:{key}"


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
