"""What every table of the catalog is made of: text, numbers, and how often a job was tried."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Dialect, Integer, String
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import Float, TypeDecorator

from boomerang.errors import BadRequest
from boomerang.processes.trace import current

SCHEMA_VERSION = 11
"""What programs of before there were steps (migrations/) read, and refuse: it stays."""
Serial = BigInteger().with_variant(Integer(), "sqlite")


class NoText(BadRequest, DontWrapMixin):
    """A name with a character that no name has."""


class Text(TypeDecorator[str]):
    """Text as both databases take it: PostgreSQL has no NUL in one, SQLite would keep it.

    Whatever names something comes through here, whoever said it. Raises NoText.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse what one of the databases cannot hold."""
        if value is not None and "\0" in value:
            raise NoText(
                "A NUL character is in no name.", value=value, fix="Send the name without it."
            )
        return value


class Base(DeclarativeBase):
    """Root of the mapped tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        str: Text(),
        dict[str, Any]: JSON,
        list[int]: JSON,
        int: BigInteger,
        float: Float(53),
    }


class Sent:
    """When something was sent to a queue last, and how often nobody took it."""

    sent: Mapped[float] = mapped_column(default=0.0)
    sends: Mapped[int] = mapped_column(default=0)


class Attempts(Sent):
    """How often a job was tried (setbacks.py); `due` is when again, if anything is in its way.

    `waited` is when the wait after the last setback was over; it stays when `due` is gone.
    `parked` says that it was given up as it kills its worker, or fails for a reason that nobody
    has thought of, whenever it is tried. `trace` is the id of the request that asked for it last.
    """

    attempts: Mapped[int] = mapped_column(default=0)
    away_since: Mapped[float | None]
    waited: Mapped[float | None]
    due: Mapped[float | None]
    parked: Mapped[bool | None]
    trace: Mapped[str | None] = mapped_column(default=current)


class SchemaRow(Base):
    """The one row that says which shape the tables have."""

    __tablename__ = "schema_version"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
