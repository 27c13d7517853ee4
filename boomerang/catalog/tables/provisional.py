"""The table of families whose files are not hashed yet."""

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base, Text


class ProvisionalRow(Attempts, Base):
    """A family that is asked for and whose files are not hashed yet, or were not at first.

    The row stays for as long as somebody may know the family by this id.
    """

    __tablename__ = "provisional"

    id: Mapped[str] = mapped_column(Text(16), primary_key=True)
    became: Mapped[str | None] = mapped_column(Text(16), index=True)
    name: Mapped[str]
    plan: Mapped[dict[str, Any]]
    asked: Mapped[list[Any]] = mapped_column("requests", JSON)
    requests: Mapped[list[Any]] = mapped_column("wants", JSON)
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    running: Mapped[bool] = mapped_column(default=False)
    created: Mapped[float]
    updated: Mapped[float]
