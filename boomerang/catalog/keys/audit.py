"""What was done with which key: a row for everything that changes something, and no secret in it.

Rows are pruned with the setting that says how long they stay; nothing else ever changes one.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from boomerang.catalog.records.keys import Deed, Who
from boomerang.catalog.store import Store, facts_of
from boomerang.catalog.tables import AuditRow

_BATCH = 1000


class AuditStore(Store):
    """Deeds, by time."""

    def audit(
        self,
        who: Who,
        action: str,
        subject: str | None,
        status: int,
        *,
        trace: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down what somebody did: its HTTP status, or what would have been that."""
        with self.db.write() as session:
            session.add(
                AuditRow(
                    time=session.now(), key=who.id, name=who.name, action=action, subject=subject,
                    status=status, trace=trace, detail=dict(detail) if detail else None,
                )
            )  # fmt: skip

    def deeds(
        self, *, before: int | None = None, limit: int = 100, key: str | None = None
    ) -> tuple[Deed, ...]:
        """What was done, newest first: before a row, with a key (its id or name)."""
        asked = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            asked = asked.where(AuditRow.id < before)
        if key is not None:
            asked = asked.where((AuditRow.key == key) | (AuditRow.name == key))
        with self.db.read() as session:
            return tuple(Deed(**facts_of(Deed, row)) for row in session.scalars(asked))

    def prune_audit(self, days: float) -> int:
        """Forget what was done longer ago than so many days, a batch at a time; how much."""
        gone = 0
        while True:
            with self.db.write() as session:
                older = AuditRow.time < session.now() - days * 86400
                ids = list(session.scalars(select(AuditRow.id).where(older).limit(_BATCH)))
                session.execute(delete(AuditRow).where(AuditRow.id.in_(ids)))
            gone += len(ids)
            if len(ids) < _BATCH:
                return gone
