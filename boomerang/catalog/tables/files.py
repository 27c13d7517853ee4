"""The tables of what was found out about files: their digests, and which are equal."""

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Base, Text


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
