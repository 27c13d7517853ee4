"""Keys, who owns what, what was done with them, and how much they used."""

from typing import Any

from sqlalchemy import JSON, Index
from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.base import Base, Serial, Text


class KeyRow(Base):
    """A key, by the sha256 of it; `quotas` are those of its own, in place of the service's.

    `used` is when it was seen last, to the minute. A key that was revoked stays, so that what it
    owns and did keeps its name.
    """

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(Text(16), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    digest: Mapped[str] = mapped_column(Text(64), unique=True)
    scope: Mapped[str]
    quotas: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created: Mapped[float]
    expires: Mapped[float | None]
    revoked: Mapped[float | None]
    used: Mapped[float | None]


class OwnerRow(Base):
    """A key that asked for a family, which may be provisional, and has not let go of it."""

    __tablename__ = "owners"

    family: Mapped[str] = mapped_column(Text(16), primary_key=True)
    key: Mapped[str] = mapped_column(Text(16), primary_key=True)
    since: Mapped[float]

    __table_args__ = (Index("families_of_a_key", "key", "family"),)


class EndedRow(Base):
    """A session that was ended before its time, by its nonce; forgotten once it had run out."""

    __tablename__ = "ended_sessions"

    nonce: Mapped[str] = mapped_column(Text(32), primary_key=True)
    expires: Mapped[float] = mapped_column(index=True)


class AuditRow(Base):
    """What somebody did: `action` upon `subject`, with the HTTP status of the answer."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    time: Mapped[float] = mapped_column(index=True)
    key: Mapped[str | None] = mapped_column(Text(16), index=True)
    name: Mapped[str | None]
    action: Mapped[str]
    subject: Mapped[str | None]
    status: Mapped[int]
    trace: Mapped[str | None]
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class UsageRow(Base):
    """How much a key used on a day (whole days since 1970, UTC); the empty key is nobody's.

    `served` is when its last turn on a device ended.
    """

    __tablename__ = "usage"

    key: Mapped[str] = mapped_column(Text(16), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    families: Mapped[int] = mapped_column(default=0)
    requests: Mapped[int] = mapped_column(default=0)
    device_seconds: Mapped[float] = mapped_column(default=0.0)
    bytes: Mapped[int] = mapped_column(default=0)
    served: Mapped[float | None]
