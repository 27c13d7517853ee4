"""Tables of webhooks: what the Hub told, what it leads to, who is told, and what is to be told."""

from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Serial, Text


class MoveRow(Base):
    """A branch of a teacher that moved, as the Hub told; `old` is empty for a new branch."""

    __tablename__ = "moves"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    repo: Mapped[str]
    ref: Mapped[str]
    old: Mapped[str]
    new: Mapped[str]
    time: Mapped[float]

    __table_args__ = (Index("one_move", "repo", "ref", "old", "new", unique=True),)


class FollowRow(Attempts, Base):
    """A family that is to be made anew at its teacher's new commit."""

    __tablename__ = "follows"

    family: Mapped[str] = mapped_column(
        ForeignKey("families.id", ondelete="CASCADE"), primary_key=True
    )


class ListenerRow(Base):
    """An address that is told what becomes of a family, which may be provisional."""

    __tablename__ = "listeners"

    family: Mapped[str] = mapped_column(Text(16), primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)


class NoticeRow(Attempts, Base):
    """Something that an address has not been told yet, written with the change it tells of."""

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(Text(64), primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    url: Mapped[str]
    host: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    data: Mapped[dict[str, Any]]
    created: Mapped[float]
