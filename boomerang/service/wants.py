"""The part of the catalog about requests: which members to build or to publish, and when."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from boomerang.service.database import Database
from boomerang.service.leases import Lease, guard
from boomerang.service.models import WantRow
from boomerang.service.records import Fact, NewWant, Want, digest_of
from boomerang.service.setbacks import afresh
from boomerang.service.store import Store, record
from boomerang.service.transitions import WANT, Actor, check
from boomerang.service.tries import forget_tries

CANCELLED = "cancelled on request"


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

    An equal request that is open or done is the same one; one that failed is opened again.
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
    elif row.state != Fact.FAILED:
        return False
    afresh(row, db.now(session))
    forget_tries(session, f"settle:{family}")
    change_want(db, session, row, Fact.NO, None, Actor.REQUEST)
    return True


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
