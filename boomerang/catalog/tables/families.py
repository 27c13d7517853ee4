"""Families, their members, and what was asked of them."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Sent, Serial, Text


class FamilyRow(Attempts, Base):
    """A teacher at one commit with one student in one order.

    `replaced` has the sizes of its provisional ladder that are no more, with their parameters.
    `outdated` is the teacher's commit that came after its own. `about` is what the teacher's card
    says of it, null where nobody kept that; `shape` what decides how much memory its members take.
    `state` is its student's, which pages of families are found by.
    """

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
    settled: Mapped[bool] = mapped_column(default=False, index=True)
    cancel: Mapped[bool | None]
    replaced: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    outdated: Mapped[str | None] = mapped_column(index=True)
    about: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    shape: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[str | None]
    created: Mapped[float]
    updated: Mapped[float]

    __table_args__ = (
        Index("families_newest", "created", "id"),
        Index("families_of_a_state", "state", "created", "id"),
    )


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

    __table_args__ = (Index("provisional_newest", "became", "created", "id"),)


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
    built: Mapped[str] = mapped_column(default="no", index=True)
    built_reason: Mapped[str | None]
    measured: Mapped[str] = mapped_column(default="no", index=True)
    measured_reason: Mapped[str | None]
    published: Mapped[str] = mapped_column(default="no", index=True)
    published_reason: Mapped[str | None]
    perplexity: Mapped[float | None]
    kl: Mapped[float | None]
    naive_perplexity: Mapped[float | None]
    naive_kl: Mapped[float | None]
    agreement: Mapped[float | None]
    acceptance: Mapped[float | None]
    drafted: Mapped[float | None]
    by_position: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    errors: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    generation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    flags: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    tasks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    repo: Mapped[str | None]
    commit: Mapped[str | None]
    made_of: Mapped[str | None]
    updated: Mapped[float]

    __table_args__ = (Index("members_by_size", "parameters", "family", "k"),)


class SweepRow(Sent, Base):
    """The digest of a member that may belong to nobody any more; its folder is removed then."""

    __tablename__ = "sweeps"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class RequestRow(Attempts, Base):
    """What was asked for: members to build or to publish once the family is settled.

    `updated` is when its state changed last, `owner` the key that asked for it.
    """

    __tablename__ = "requests"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    family: Mapped[str] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str]
    what: Mapped[str]
    options: Mapped[dict[str, Any]]
    options_digest: Mapped[str] = mapped_column(Text(64))
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    updated: Mapped[float | None]
    owner: Mapped[str | None] = mapped_column(Text(16), index=True)

    __table_args__ = (
        Index("one_request", "family", "kind", "what", "options_digest", unique=True),
    )
