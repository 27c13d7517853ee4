"""The table of events."""

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Base, Serial


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
