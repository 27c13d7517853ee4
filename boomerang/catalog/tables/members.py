"""The table of members, and that of folders of members to be removed."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Base, Text


class MemberRow(Base):
    """One rung of a family's ladder.

    `made_of` stands for the bytes of the student that its folder was built from.
    """

    __tablename__ = "members"

    family: Mapped[str] = mapped_column(
        ForeignKey("families.id", ondelete="CASCADE"), primary_key=True
    )
    k: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[str] = mapped_column(index=True)
    code: Mapped[str]
    digest: Mapped[str] = mapped_column(Text(64), index=True)
    parameters: Mapped[int]
    bytes: Mapped[int]
    layers: Mapped[int]
    built: Mapped[str] = mapped_column(default="no")
    built_reason: Mapped[str | None]
    measured: Mapped[str] = mapped_column(default="no")
    measured_reason: Mapped[str | None]
    published: Mapped[str] = mapped_column(default="no")
    published_reason: Mapped[str | None]
    perplexity: Mapped[float | None]
    kl: Mapped[float | None]
    naive_perplexity: Mapped[float | None]
    naive_kl: Mapped[float | None]
    generation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    flags: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    tasks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    repo: Mapped[str | None]
    commit: Mapped[str | None]
    made_of: Mapped[str | None]
    updated: Mapped[float]


class SweepRow(Base):
    """The digest of a member that may belong to nobody any more; its folder is removed then."""

    __tablename__ = "sweeps"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    sent: Mapped[float] = mapped_column(default=0.0)
    sends: Mapped[int] = mapped_column(default=0)
