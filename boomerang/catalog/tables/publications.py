"""Names, repositories, and commits that were handed out."""

from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Base, Sent, Text


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
    published with, `files` the sha256 of each of its files then. `gated` is how readers are let in,
    `credential` the requester's token that published it, if it was not the service's.
    """

    __tablename__ = "repositories"

    repo: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    private: Mapped[bool]
    card: Mapped[str]
    made_of: Mapped[str | None]
    commit: Mapped[str | None]
    files: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    gated: Mapped[str | None]
    credential: Mapped[str | None]


class CredentialRow(Base):
    """A requester's token for the Hub, sealed with what the catalog does not know."""

    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(Text(32), primary_key=True)
    sealed: Mapped[str]
    created: Mapped[float]
    expires: Mapped[float]


class StaleRow(Sent, Base):
    """A repository that may hold something else than would be published now, `since` when."""

    __tablename__ = "stale"

    repo: Mapped[str] = mapped_column(primary_key=True)
    family: Mapped[str] = mapped_column(Text(16), index=True)
    since: Mapped[float]
