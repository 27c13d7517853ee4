"""The part of the catalog about members that are being built or published for a request."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from boomerang.catalog.leases import Lease, guard
from boomerang.catalog.parts.members import change_fact
from boomerang.catalog.parts.requests import FACT_OF, change_want
from boomerang.catalog.records.members import Member
from boomerang.catalog.records.requests import Want
from boomerang.catalog.records.states import Fact, FactName
from boomerang.catalog.setbacks import Limits, Setback, again, later
from boomerang.catalog.store import Store, member_row
from boomerang.catalog.tables.families import MemberRow
from boomerang.catalog.tables.requests import TryRow, WantRow
from boomerang.catalog.transitions import Actor
from boomerang.catalog.tries import forget_tries, tries_of, work_of


class BuildingStore(Store):
    """What requests have come to, member by member."""

    def open_want(self, want: Want, members: Sequence[Member]) -> None:
        """Begin with a request: what its members failed at before was somebody else's request.

        Raises IllegalTransition.
        """
        fact = FACT_OF[want.kind]
        with self.db.write() as session:
            row = session.get(WantRow, want.id)
            if row is None:
                return
            change_want(self.db, session, row, Fact.RUNNING, None, Actor.WORKER)
            for member in members:
                self._afresh(session, session.get(MemberRow, (member.family, member.k)), fact)

    def _afresh(self, session: Session, row: MemberRow | None, fact: FactName) -> None:
        if row is None or getattr(row, fact) != Fact.FAILED:
            return
        forget_tries(session, work_of(fact, row.digest))
        change_fact(self.db, session, row, fact, Fact.NO, "asked for again", Actor.WORKER)

    def member_again(
        self,
        family: str,
        k: int,
        fact: FactName,
        kind: Setback,
        reason: str,
        limits: Limits,
        *,
        lease: Lease | None = None,
    ) -> bool:
        """After a setback: have a member built or published later; False where it was enough.

        One that was there before is there still. Raises FamilyNotFound, SizeNotFound, LostLease,
        IllegalTransition.
        """
        with self.db.write() as session:
            guard(session, lease)
            row = member_row(session, family, k)
            tried = tries_of(session, work_of(fact, row.digest))
            wait = again(tried, kind, self.db.now(session), limits)
            if wait is None:
                return False
            state = Fact.YES if getattr(row, fact) == Fact.YES else Fact.NO
            change_fact(self.db, session, row, fact, state, later(reason, wait), Actor.WORKER)
            return True

    def member_waits(self, member: Member, fact: FactName) -> bool:
        """Whether a member had a setback, and is not to be tried again yet."""
        with self.db.read() as session:
            row = session.get(TryRow, work_of(fact, member.digest))
            return row is not None and row.due is not None
