"""Who works on what, how often it was tried, and what happened."""

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Serial


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
