"""How much each key used, day by day: counted, and refused where it is enough."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select

from boomerang.catalog.database import Session
from boomerang.catalog.records.allowances import DAY, QuotaSpent, Used
from boomerang.catalog.records.families import Planned
from boomerang.catalog.store import Store, record
from boomerang.catalog.tables import UsageRow

NOBODYS = ""
"""The key of what nobody in particular asked for."""


class UsageStore(Store):
    """How much keys used, by the id of a key."""

    def used(self, key: str, day: int | None = None) -> Used:
        """What a key used on a day, which is today unless one is named."""
        with self.db.read() as session:
            day = today(session) if day is None else day
            row = session.get(UsageRow, (key, day))
            return Used(day) if row is None else record(Used, row)

    def usage(self, key: str, days: int) -> tuple[Used, ...]:
        """What a key used on each of the last days on which it used anything, newest first."""
        with self.db.read() as session:
            since = UsageRow.day > today(session) - days
            rows = select(UsageRow).where(UsageRow.key == key, since)
            newest = session.scalars(rows.order_by(UsageRow.day.desc()))
            return tuple(record(Used, row) for row in newest)

    def charge_device(self, key: str | None, seconds: float, *, over: bool) -> None:
        """Count seconds of devices; with `over` the turn of the key has ended."""
        with self.db.write() as session:
            row = row_of(session, key or NOBODYS)
            row.device_seconds += seconds
            if over:
                row.served = session.now()

    def charge_bytes(self, sent: Mapping[str, int]) -> dict[str, int]:
        """Count bytes that were sent, by key; return how many each was sent today."""
        with self.db.write() as session:
            found = {}
            for key, count in sorted(sent.items()):
                row = row_of(session, key)
                row.bytes += count
                found[key] = row.bytes
            return found


def today(session: Session) -> int:
    """The number of this day, UTC, since 1970."""
    return int(session.now() // DAY)


def row_of(session: Session, key: str) -> UsageRow:
    """The row of a key for today; a new one of nothing where there is none."""
    day = today(session)
    row = session.get(UsageRow, (key, day))
    if row is None:
        row = UsageRow(key=key, day=day, families=0, requests=0, device_seconds=0.0, bytes=0)
        session.add(row)
    return row


def rest_of_day(session: Session) -> float:
    """Seconds until the next day begins, UTC."""
    return DAY - session.now() % DAY


def spend_family(session: Session, plan: Planned, *, new: bool) -> None:
    """Count a family that is `new` for the key that asks. Raises QuotaSpent."""
    if plan.owner is None or plan.most is None or not new:
        return
    row = row_of(session, plan.owner)
    if plan.most and row.families >= plan.most:
        raise QuotaSpent(
            f"This key may ask for {plan.most} new families a day (UTC), and has.",
            value=plan.most,
            fix="Ask again tomorrow, or have its quota raised (families_per_day).",
            retry_after=rest_of_day(session),
        )
    row.families += 1


def recent(session: Session, keys: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Seconds of devices that keys used in about the last 24 hours, and when each was served last.

    What was used yesterday counts for as much of it as today is not over yet.
    """
    day = today(session)
    left = rest_of_day(session) / DAY
    found: dict[str, tuple[float, float]] = {}
    rows = select(UsageRow).where(UsageRow.key.in_(list(keys)), UsageRow.day >= day - 1)
    for row in session.scalars(rows):
        used, served = found.get(row.key, (0.0, 0.0))
        part = row.device_seconds * (1.0 if row.day == day else left)
        found[row.key] = (used + part, max(served, row.served or 0.0))
    return found
