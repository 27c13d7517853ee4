"""The tables of requests, of the work that they make, and of events."""

from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base, Serial, Text


class WantRow(Attempts, Base):
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


class TryRow(Attempts, Base):
    """How often the work under a lease was tried in vain, for work that has no row of its own."""

    __tablename__ = "tries"

    subject: Mapped[str] = mapped_column(primary_key=True)


class LeaseRow(Base):
    """Who works on what. The row outlives its holder, so that the fence only ever grows."""

    __tablename__ = "leases"

    subject: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    fence: Mapped[int]
    expires: Mapped[float]


class SweepRow(Base):
    """The digest of a member that may belong to nobody any more; its folder is removed then."""

    __tablename__ = "sweeps"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    sent: Mapped[float] = mapped_column(default=0.0)
    sends: Mapped[int] = mapped_column(default=0)


class EventRow(Base):
    """Something that happened, written in the transaction that made it so."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    time: Mapped[float]
    family: Mapped[str | None] = mapped_column(index=True)
    student: Mapped[str | None] = mapped_column(index=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]

    __table_args__ = ({"sqlite_autoincrement": True},)
