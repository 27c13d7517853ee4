"""The part of the catalog about requests: which members to build or to publish, and when."""

from collections.abc import Mapping

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from boomerang.catalog.database import Database
from boomerang.catalog.leases import Lease, guard
from boomerang.catalog.records.members import Member, digest_of
from boomerang.catalog.records.requests import NewWant, Want
from boomerang.catalog.records.states import Fact, FactName
from boomerang.catalog.setbacks import afresh
from boomerang.catalog.store import Store, member_record, record
from boomerang.catalog.tables.families import MemberRow
from boomerang.catalog.tables.requests import WantRow
from boomerang.catalog.transitions import WANT, Actor, check
from boomerang.catalog.tries import forget_tries
from boomerang.errors import BoomerangError
from boomerang.family.budget import meant

CANCELLED = "cancelled on request"
FACT_OF: Mapping[str, FactName] = {"build": "built", "publish": "published"}
"""What a request of a kind is about."""


class WantStore(Store):
    """Requests of families."""

    def is_open(self, want: int) -> bool:
        """Whether a request is neither done nor given up."""
        with self.db.read() as session:
            row = session.get(WantRow, want)
            return row is not None and row.state in (Fact.NO, Fact.RUNNING)

    def wants(self, family: str) -> tuple[Want, ...]:
        """What was asked of a family, oldest first."""
        with self.db.read() as session:
            statement = select(WantRow).where(WantRow.family == family).order_by(WantRow.id)
            return tuple(record(Want, row) for row in session.scalars(statement))

    def all_wants(self) -> dict[str, tuple[Want, ...]]:
        """What was asked of every family, oldest first, by the family's id."""
        with self.db.read() as session:
            found: dict[str, list[Want]] = {}
            for row in session.scalars(select(WantRow).order_by(WantRow.id)):
                found.setdefault(row.family, []).append(record(Want, row))
            return {family: tuple(wants) for family, wants in found.items()}

    def set_want(self, want: int, state: Fact, reason: str | None = None) -> None:
        """Change the state of a request; one that was deleted meanwhile is left alone.

        To say the same again changes nothing. Raises IllegalTransition.
        """
        with self.db.write() as session:
            row = session.get(WantRow, want)
            if row is not None and (row.state, row.reason) != (state.value, reason):
                change_want(self.db, session, row, state, reason, Actor.WORKER)

    def settle_soon(self, family: str) -> None:
        """The next reaper looks after the open requests of a family."""
        with self.db.write() as session:
            mine = update(WantRow).where(WantRow.family == family)
            session.execute(mine.values(sent=0.0, sends=0))

    def settle_done(self, family: str, *, lease: Lease) -> None:
        """Whoever looked after a family's requests lived to say so. Raises LostLease."""
        with self.db.write() as session:
            guard(session, lease)
            forget_tries(session, f"settle:{family}")


def resolve(members: tuple[Member, ...], what: str) -> tuple[Member, ...]:
    """The members that a request means: `*`, an exact size, or the largest within a budget.

    Raises SizeNotFound, BudgetOutOfRange.
    """
    return members if what == "*" else meant([members], what)


def reopen(db: Database, session: Session, family: str, kind: str, reason: str) -> None:
    """Open the requests of a family that were done; the next reaper has the rest of them done."""
    done = select(WantRow).where(
        WantRow.family == family, WantRow.kind == kind, WantRow.state == Fact.YES.value
    )
    for row in session.scalars(done):
        forget_tries(session, f"settle:{family}")
        afresh(row, 0.0)
        change_want(db, session, row, Fact.NO, reason, Actor.WORKER)


def give_up(db: Database, session: Session, family: str, reason: str) -> None:
    """End the requests of a family that are open, on request."""
    unfinished = WantRow.state.in_((Fact.NO.value, Fact.RUNNING.value))
    for row in session.scalars(select(WantRow).where(WantRow.family == family, unfinished)):
        change_want(db, session, row, Fact.FAILED, reason, Actor.REQUEST)


def want_row(db: Database, session: Session, family: str, new: NewWant) -> bool:
    """Keep a request; return whether there is anything to do for it.

    An equal request that is open or done is the same one; one that failed is opened again, and one
    that was done and is so no longer.
    """
    digest = digest_of(new.options)
    same = select(WantRow).where(
        WantRow.family == family,
        WantRow.kind == new.kind,
        WantRow.what == new.what,
        WantRow.options_digest == digest,
    )
    row = session.scalars(same).one_or_none()
    if row is None:
        row = WantRow(
            family=family,
            kind=new.kind,
            what=new.what,
            options=dict(new.options),
            options_digest=digest,
            state="",
            sent=db.now(session),
        )
        session.add(row)
        session.flush()
    elif row.state != Fact.FAILED and not _undone(session, row):
        return False
    afresh(row, db.now(session))
    forget_tries(session, f"settle:{family}")
    change_want(db, session, row, Fact.NO, None, Actor.REQUEST)
    return True


def undo(db: Database, session: Session, family: str, kind: str, member: int, reason: str) -> None:
    """A member with `member` patched layers is gone: requests that it was made for have failed.

    Nobody makes it again who is not asked for that.
    """
    done = select(WantRow).where(
        WantRow.family == family, WantRow.kind == kind, WantRow.state == Fact.YES.value
    )
    for row in session.scalars(done).all():
        gone = [one for one in _meant(session, row) if one.k == member]
        for one in gone:
            # In two steps: a late worker must not make what is done failed.
            for state in (Fact.NO, Fact.FAILED):
                change_want(db, session, row, state, f"{one.size}: {reason}", Actor.WORKER)


def _undone(session: Session, row: WantRow) -> bool:
    """Whether a request was done of which a member is not there now."""
    fact = FACT_OF[row.kind]
    return row.state == Fact.YES and any(
        getattr(member, fact) is not Fact.YES for member in _meant(session, row)
    )


def _meant(session: Session, row: WantRow) -> tuple[Member, ...]:
    ladder = select(MemberRow).where(MemberRow.family == row.family)
    rows = session.scalars(ladder.order_by(MemberRow.parameters, MemberRow.k))
    try:
        return resolve(tuple(member_record(one) for one in rows), row.what)
    except BoomerangError:
        return ()  # the ladder is another one now


def change_want(
    db: Database, session: Session, row: WantRow, state: Fact, reason: str | None, by: Actor
) -> None:
    """Change a request within a transaction, and write the event. Raises IllegalTransition."""
    check(WANT, f"the request {row.id}", row.state, state, by)
    row.state, row.reason = state.value, reason
    _note(db, session, row)


def _note(db: Database, session: Session, row: WantRow) -> None:
    payload = {name: getattr(row, name) for name in ("id", "kind", "what", "state", "reason")}
    db.note(session, "want", payload, family=row.family)
