"""Who works on what, how often it was tried, what is rebuilt, and what happened."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Serial, Text


class RebuildRow(Attempts, Base):
    """What is looked at and mended of a family; `report` is what was found so far, by what it is.

    `force` says that the family is a new generation, which is made for it.
    """

    __tablename__ = "rebuilds"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    family: Mapped[str] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    force: Mapped[bool]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    report: Mapped[dict[str, Any]]
    created: Mapped[float]
    started: Mapped[float | None]
    finished: Mapped[float | None]


class TryRow(Attempts, Base):
    """How often the work under a lease was tried in vain, for work that has no row of its own."""

    __tablename__ = "tries"

    subject: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = (Index("tries_due", "due"),)


class UnreadRow(Base):
    """Messages of a task that no worker could read: how many, from when to when, and why not."""

    __tablename__ = "unread"

    task: Mapped[str] = mapped_column(Text(200), primary_key=True)
    reason: Mapped[str]
    times: Mapped[int]
    first: Mapped[float]
    last: Mapped[float]


class LeaseRow(Base):
    """Who works on what. The row outlives its holder, so that the fence only ever grows.

    `since` is when its holder took it.
    """

    __tablename__ = "leases"

    subject: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    fence: Mapped[int]
    expires: Mapped[float] = mapped_column(index=True)
    since: Mapped[float | None]


class PlanRow(Base):
    """What checking a member's plan came to, by the plan's sha256; `wrong` says what is."""

    __tablename__ = "plans"

    digest: Mapped[str] = mapped_column(primary_key=True)
    wrong: Mapped[str | None]
    checked: Mapped[float]


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
