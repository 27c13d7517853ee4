"""The table of requests."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base, Serial, Text


class RequestRow(Attempts, Base):
    """What was asked for: members to build or to publish once the family is settled."""

    __tablename__ = "requests"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    family: Mapped[str] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    what: Mapped[str]
    options: Mapped[dict[str, Any]]
    options_digest: Mapped[str] = mapped_column(Text(64))
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]

    __table_args__ = (
        Index("one_request", "family", "kind", "what", "options_digest", unique=True),
    )
