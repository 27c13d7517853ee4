"""Students, and what is known of the files that models consist of."""

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Attempts, Base, Text


class StudentRow(Attempts, Base):
    """A student, named by what makes it.

    `saved` is the step of its last checkpoint, `micro_batch` how many sequences at a time memory
    was enough for, `killed_at` the step at which memory ran out last. `verify` is when somebody
    asked whether it is whole, until that is known; `files` are the sha256 of its weights as they
    were when it became ready. Where there is a `map_rule`, the layers `kept` are provisional until
    they are `pinned`. `hub_repo` and `hub_commit` are where it is kept on the Hub. `owner` is
    the key that what it takes is counted for.
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
    verify: Mapped[float | None] = mapped_column(index=True)
    files: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    map_rule: Mapped[str | None]
    pinned: Mapped[bool | None]
    map_reason: Mapped[str | None]
    hub_repo: Mapped[str | None]
    hub_commit: Mapped[str | None]
    owner: Mapped[str | None] = mapped_column(Text(16), index=True)
    created: Mapped[float]
    started: Mapped[float | None]
    finished: Mapped[float | None]
    updated: Mapped[float]


class KeepingRow(Attempts, Base):
    """A student that is to be kept on the Hub and is not yet; `over` where nobody tries again."""

    __tablename__ = "keeping"

    key: Mapped[str] = mapped_column(
        Text(64), ForeignKey("students.key", ondelete="CASCADE"), primary_key=True
    )
    over: Mapped[bool] = mapped_column(default=False)


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
