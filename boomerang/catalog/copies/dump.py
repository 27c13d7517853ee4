"""Writes the catalog down: for each table a file of JSON lines, the same from either database.

The first line of a file names the columns, every other is a row. What a column keeps as JSON is a
string there, to the character as it was written, so that nothing is lost by reading it.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    cast,
    func,
    select,
    text,
    type_coerce,
)

from boomerang.catalog.base import Base, SchemaRow
from boomerang.catalog.database import engine_of
from boomerang.catalog.migrations import schema
from boomerang.errors import NotFound

ROWS = 1000
"""Rows that are read or written at once."""
NUMBERED = tuple(
    name for name, table in Base.metadata.tables.items() if table.autoincrement_column is not None
)
"""Tables that number their rows, in the column `id`."""


@dataclass(frozen=True, kw_only=True)
class Dump:
    """What was written down: the `schema`, a number or a revision (schema.py), rows by table, and
    the last number that was given in each table that numbers its rows, whether it is there or not.
    """

    schema: str
    numbered: bool
    database: str
    rows: dict[str, int]
    last: dict[str, int]


def dump(url: str, folder: Path, told: Callable[[int], object] = lambda _: None) -> Dump:
    """Write every table to `folder`, which is there, as it is at one moment; others may go on.

    `told` is given the number of rows each time that some are written. Raises NotFound where there
    is no catalog, BadRequest for a schema that this program does not know.
    """
    found = schema.look(url)
    schema.check(found)
    if found.empty:
        raise NotFound("There is no catalog.", fix="Set BOOMERANG_HOME or BOOMERANG_DATABASE_URL.")
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # One picture of all tables; SQLite's transactions have that anyway.
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                found = schema.read(connection)
                there = reflected(connection)
                rows = {one.name: _write(connection, one, folder, told) for one in there}
                last = {one.name: _last(connection, one) for one in there if one.name in NUMBERED}
    finally:
        engine.dispose()
    return Dump(
        schema=str(found),
        numbered=found.revision is None,
        database=engine.dialect.name,
        rows=rows,
        last=last,
    )


def reflected(connection: Connection) -> tuple[Table, ...]:
    """The tables of the catalog as they are there, each after those that it refers to."""
    found = MetaData()
    known = set(Base.metadata.tables) - {SchemaRow.__tablename__}
    found.reflect(connection, only=lambda name, _: name in known)
    return tuple(found.sorted_tables)


def _write(
    connection: Connection, table: Table, folder: Path, told: Callable[[int], object]
) -> int:
    count = 0
    with (folder / f"{table.name}.jsonl").open("w", encoding="ascii") as file:
        for line in _lines(connection, table):
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            count += 1
            if count % ROWS == 0:
                told(ROWS)
    told((count - 1) % ROWS)
    return count - 1


def _lines(connection: Connection, table: Table) -> Iterator[list[Any]]:
    # In an order of their own: a step adds a column behind the others.
    there = sorted(table.columns, key=lambda column: str(column.name))
    yield [column.name for column in there]
    sqlite = connection.dialect.name == "sqlite"
    columns: list[ColumnElement[Any]] = []
    for column in there:
        plain = not isinstance(column.type, JSON)
        written = type_coerce(column, String) if sqlite else cast(column, String)
        columns.append(column if plain else written)
    statement = select(*columns).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=ROWS).execute(statement):
        # A number in a column of JSON is one to SQLite.
        yield [
            json.dumps(value)
            if isinstance(column.type, JSON) and isinstance(value, int | float)
            else value
            for column, value in zip(there, row, strict=True)
        ]


def _last(connection: Connection, table: Table) -> int:
    if connection.dialect.name == "postgresql":
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:of, 'id')"), {"of": table.name}
        ).scalar_one()
        value, given = connection.execute(
            text(f"SELECT last_value, is_called FROM {sequence}")  # noqa: S608 - its own name
        ).one()
        return int(value) if given else 0
    newest = connection.execute(select(func.max(table.c.id))).scalar() or 0
    kept = text("SELECT seq FROM sqlite_sequence WHERE name = :of")
    return max(int(newest), connection.execute(kept, {"of": table.name}).scalar() or 0)
