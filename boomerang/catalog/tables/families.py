"""The table of families."""

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base, Text


class FamilyRow(Attempts, Base):
    """A teacher at one commit with one student in one order."""

    __tablename__ = "families"

    id: Mapped[str] = mapped_column(Text(16), primary_key=True)
    name: Mapped[str]
    teacher: Mapped[str] = mapped_column(index=True)
    revision: Mapped[str | None]
    commit: Mapped[str]
    source: Mapped[str | None]
    student: Mapped[str] = mapped_column(ForeignKey("students.key"), index=True)
    order: Mapped[str]
    request: Mapped[dict[str, Any]]
    license: Mapped[str | None]
    gated: Mapped[bool]
    private: Mapped[bool]
    published_repo: Mapped[str | None]
    patch_order: Mapped[list[int | str] | None] = mapped_column(JSON(none_as_null=True))
    chosen: Mapped[str | None]
    measuring: Mapped[str] = mapped_column(index=True)
    measuring_reason: Mapped[str | None]
    tasks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    settled: Mapped[bool] = mapped_column(default=False)
    cancel: Mapped[bool | None]
    created: Mapped[float]
    updated: Mapped[float]
