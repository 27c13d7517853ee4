"""The tables of students, families and their members."""

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base, Text


class StudentRow(Attempts, Base):
    """A student, named by what makes it.

    `saved` is the step of its last checkpoint, `micro_batch` how many sequences at a time memory
    was enough for, `killed_at` the step at which memory ran out last. `verify` is when somebody
    asked whether it is whole, until that is known; `files` are the sha256 of its weights as they
    were when it became ready.
    """

    __tablename__ = "students"

    key: Mapped[str] = mapped_column(Text(64), primary_key=True)
    root: Mapped[str] = mapped_column(Text(64), index=True)
    teacher: Mapped[str]
    teacher_commit: Mapped[str]
    teacher_source: Mapped[str | None]
    kept: Mapped[list[int]]
    layers: Mapped[int]
    recipe: Mapped[dict[str, Any]]
    recipe_name: Mapped[str]
    data: Mapped[str | None]
    data_digest: Mapped[str | None]
    seed: Mapped[int]
    origin: Mapped[str]
    location: Mapped[str | None]
    revision_commit: Mapped[str | None]
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    step: Mapped[int] = mapped_column(default=0)
    steps: Mapped[int] = mapped_column(default=0)
    loss: Mapped[float | None]
    ce: Mapped[float | None]
    kl: Mapped[float | None]
    cosine: Mapped[float | None]
    tokens: Mapped[int] = mapped_column(default=0)
    tokens_per_s: Mapped[float | None]
    eta_s: Mapped[float | None]
    generation: Mapped[int] = mapped_column(default=1)
    cancel: Mapped[bool] = mapped_column(default=False)
    saved: Mapped[int | None]
    micro_batch: Mapped[int | None]
    killed_at: Mapped[int | None]
    verify: Mapped[float | None]
    files: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[float]
    started: Mapped[float | None]
    finished: Mapped[float | None]
    updated: Mapped[float]


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


class ProvisionalRow(Attempts, Base):
    """A family that is asked for and whose files are not hashed yet, or were not at first.

    The row stays for as long as somebody may know the family by this id.
    """

    __tablename__ = "provisional"

    id: Mapped[str] = mapped_column(Text(16), primary_key=True)
    became: Mapped[str | None] = mapped_column(Text(16), index=True)
    name: Mapped[str]
    plan: Mapped[dict[str, Any]]
    requests: Mapped[list[Any]] = mapped_column(JSON)
    wants: Mapped[list[Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    running: Mapped[bool] = mapped_column(default=False)
    created: Mapped[float]
    updated: Mapped[float]
