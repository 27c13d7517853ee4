"""The tables of the catalog. Times are Unix seconds (UTC), the same on every database."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Sent, Serial, Text


class FamilyRow(Attempts, Base):
    """A teacher at one commit with one student in one order.

    `replaced` has the sizes of its provisional ladder that are no more, with their parameters.
    `outdated` is the teacher's commit that came after its own.
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
    settled: Mapped[bool] = mapped_column(default=False)
    cancel: Mapped[bool | None]
    replaced: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    outdated: Mapped[str | None]
    created: Mapped[float]
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
    asked: Mapped[list[Any]] = mapped_column("requests", JSON)
    requests: Mapped[list[Any]] = mapped_column("wants", JSON)
    state: Mapped[str] = mapped_column(index=True)
    reason: Mapped[str | None]
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    running: Mapped[bool] = mapped_column(default=False)
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
    agreement: Mapped[float | None]
    acceptance: Mapped[float | None]
    drafted: Mapped[float | None]
    by_position: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    generation: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    flags: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    tasks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    repo: Mapped[str | None]
    commit: Mapped[str | None]
    made_of: Mapped[str | None]
    updated: Mapped[float]


class SweepRow(Sent, Base):
    """The digest of a member that may belong to nobody any more; its folder is removed then."""

    __tablename__ = "sweeps"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class RequestRow(Attempts, Base):
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


class RevisionRow(Base):
    """What a member was like at a commit that somebody was told."""

    __tablename__ = "revisions"

    commit: Mapped[str] = mapped_column(Text(40), primary_key=True)
    family: Mapped[str] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    repo: Mapped[str]
    card: Mapped[str]
    facts: Mapped[dict[str, Any]]


class NameRow(Base):
    """The name of a family, there or gone: see publications.py."""

    __tablename__ = "names"

    name: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    teacher: Mapped[str]


class RepoRow(Base):
    """A repository of the Hub, the family it was given to, and what was published to it last.

    `made_of` stands for the bytes of the student that its weights are of: null where nobody wrote
    that down, empty where they are of others than there are now. `commit` is the one that it was
    published with, `files` the sha256 of each of its files then.
    """

    __tablename__ = "repositories"

    repo: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    private: Mapped[bool]
    card: Mapped[str]
    made_of: Mapped[str | None]
    commit: Mapped[str | None]
    files: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class StaleRow(Sent, Base):
    """A repository that may hold something else than would be published now, `since` when."""

    __tablename__ = "stale"

    repo: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    since: Mapped[float]


class StudentRow(Attempts, Base):
    """A student, named by what makes it.

    `saved` is the step of its last checkpoint, `micro_batch` how many sequences at a time memory
    was enough for, `killed_at` the step at which memory ran out last. `verify` is when somebody
    asked whether it is whole, until that is known; `files` are the sha256 of its weights as they
    were when it became ready. Where there is a `map_rule`, the layers `kept` are provisional until
    they are `pinned`. `hub_repo` and `hub_commit` are where it is kept on the Hub.
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
    map_rule: Mapped[str | None]
    pinned: Mapped[bool | None]
    map_reason: Mapped[str | None]
    hub_repo: Mapped[str | None]
    hub_commit: Mapped[str | None]
    created: Mapped[float]
    started: Mapped[float | None]
    finished: Mapped[float | None]
    updated: Mapped[float]


class HashRow(Base):
    """The sha256 of a file while its size, inode and modification time are unchanged."""

    __tablename__ = "file_hashes"

    path: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int]
    inode: Mapped[int]
    mtime_ns: Mapped[int]
    sha256: Mapped[str] = mapped_column(Text(64))


class FilesRow(Base):
    """The sha256 of each file of a model at a commit, by path, whatever lies there now."""

    __tablename__ = "model_files"

    commit: Mapped[str] = mapped_column(Text(64), primary_key=True)
    files: Mapped[dict[str, Any]]


class ComparisonRow(Base):
    """Whether two models, by the commits that stand for their content, have the same embeddings."""

    __tablename__ = "comparisons"

    teacher: Mapped[str] = mapped_column(Text(64), primary_key=True)
    student: Mapped[str] = mapped_column(Text(64), primary_key=True)
    same: Mapped[bool]


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
