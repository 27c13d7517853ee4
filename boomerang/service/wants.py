"""The part of the catalog about requests: which members to build or to publish, and when."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from boomerang.service.database import Database
from boomerang.service.models import WantRow
from boomerang.service.records import Fact, NewWant, Want, digest_of
from boomerang.service.store import Store, record


class WantStore(Store):
    """Requests of families."""

    def wants(self, family: str) -> tuple[Want, ...]:
        """What was asked of a family, oldest first."""
        with self.db.read() as session:
            statement = select(WantRow).where(WantRow.family == family).order_by(WantRow.id)
            return tuple(record(Want, row) for row in session.scalars(statement))

    def set_want(self, want: int, state: Fact, reason: str | None = None) -> None:
        """Change the state of a request; one that was deleted meanwhile is left alone."""
        with self.db.write() as session:
            row = session.get(WantRow, want)
            if row is None:
                return
            row.state, row.reason = state.value, reason
            _note(self.db, session, row)


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
            state=Fact.NO.value,
        )
        session.add(row)
    elif row.state == Fact.FAILED:
        row.attempts = 0
    else:
        return False
    row.state, row.reason, row.sent, row.sends = Fact.NO.value, None, db.now(session), 0
    session.flush()
    _note(db, session, row)
    return True


def _note(db: Database, session: Session, row: WantRow) -> None:
    payload = {name: getattr(row, name) for name in ("id", "kind", "what", "state", "reason")}
    db.note(session, "want", payload, family=row.family)
