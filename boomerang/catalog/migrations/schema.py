"""Which schema a catalog has, and how it gets the one that this program needs.

A catalog that is made now has the present tables at once. An older one goes through the steps that
it lacks. Before there were steps a catalog had a number, in `schema_version`; it stays there, so
that a program of that time refuses what came later.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    create_engine,
    delete,
    insert,
    inspect,
    make_url,
    select,
    text,
)

from boomerang.catalog.base import SCHEMA_VERSION, Base, SchemaRow
from boomerang.errors import BadRequest

HEAD = "0011"
"""The revision that this program needs: that of the last step."""
KNOWN = tuple(f"{number:04}" for number in range(3, int(HEAD) + 1))
"""Every revision, oldest first."""

REVISIONS = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, as it makes it (https://alembic.sqlalchemy.org)."""


@dataclass(frozen=True)
class Schema:
    """What a catalog has: a `revision`, or the `number` of before there were any, or neither."""

    revision: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        return self.revision or ("none" if self.number is None else f"{self.number:04}")

    @property
    def empty(self) -> bool:
        """Whether there is no catalog yet."""
        return self.revision is None and self.number is None

    @property
    def current(self) -> bool:
        """Whether it is the one that this program needs."""
        return self.revision == HEAD

    @property
    def known(self) -> bool:
        """Whether there are steps from it to the one that this program needs."""
        if self.revision is not None:
            return self.revision in KNOWN
        return self.number is None or 1 <= self.number <= SCHEMA_VERSION

    @property
    def after(self) -> str | None:
        """The last revision of which all is there, None where there is none.

        Of a numbered schema the own step is taken again: programs of the same number differed.
        """
        if self.number is None:
            return self.revision
        return f"{self.number - 1:04}" if self.number > int(KNOWN[0]) else None

    @property
    def waiting(self) -> tuple[str, ...]:
        """The steps that it lacks, oldest first."""
        return tuple(one for one in KNOWN if one > (self.after or "")) if not self.empty else ()


def read(connection: Connection) -> Schema:
    """Which schema the catalog behind a connection has."""
    there = inspect(connection)
    if there.has_table(REVISIONS.name):
        revision = connection.execute(select(REVISIONS.c.version_num)).scalar()
        if revision is not None:
            return Schema(revision=revision)
    if there.has_table(SchemaRow.__tablename__):
        return Schema(number=connection.execute(select(SchemaRow.version)).scalar())
    return Schema()


def look(url: str) -> Schema:
    """Which schema the catalog at an address has; nothing is made there, and nothing changed."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").is_file():
        return Schema()
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    try:
        with engine.connect() as connection:
            return read(connection)
    finally:
        engine.dispose()


def check(schema: Schema) -> None:
    """Refuse a schema that no step leads from. Raises BadRequest."""
    if not schema.known:
        raise BadRequest(
            f"The catalog has schema {schema}; this program needs {HEAD}.",
            value=str(schema),
            fix="Run the version of Boomerang that made it, or a later one.",
        )


def bring(connection: Connection, *, migrate: bool) -> None:
    """Give the catalog the tables that this program needs.

    The caller has made sure that nobody else writes. Raises BadRequest for a schema that no step
    leads from, and for an older one where this program may not `migrate`.
    """
    schema = read(connection)
    check(schema)
    if schema.empty:
        # Where nothing is there is nothing to look for, table by table.
        some = bool(inspect(connection).get_table_names())
        Base.metadata.create_all(connection, checkfirst=some)
        REVISIONS.create(connection, checkfirst=True)
        connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))
        connection.execute(insert(REVISIONS).values(version_num=HEAD))
    elif not schema.current:
        if not migrate:
            raise BadRequest(
                f"The catalog has schema {schema}; this program needs {HEAD}.",
                value=str(schema),
                fix="Make a backup, stop the workers, and run `boomerang migrate`.",
            )
        _step(connection, schema)


def _step(connection: Connection, schema: Schema) -> None:
    # Alembic takes a while to import, and is needed once in the life of a schema.
    from boomerang.catalog.migrations.upgrading import upgrade  # noqa: PLC0415

    if schema.number is not None:
        REVISIONS.create(connection, checkfirst=True)
        mark(connection, schema.after)
    upgrade(connection)


def mark(connection: Connection, revision: str | None) -> None:
    """Say that a catalog has all of a revision and no more, whatever it has."""
    connection.execute(delete(REVISIONS))
    if revision is not None:
        connection.execute(insert(REVISIONS).values(version_num=revision))


def wait_for_writers(connection: Connection) -> None:
    """Have every writer that knows of revisions end its change, and none begin another.

    Writers read the revision first: on PostgreSQL they share its table with each other, but not
    with whoever is about to change it. SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql" and inspect(connection).has_table(REVISIONS.name):
        connection.execute(text(f"LOCK TABLE {REVISIONS.name} IN ACCESS EXCLUSIVE MODE"))
