"""Loads a catalog that was written down into an empty database, of either kind."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from boomerang.catalog.base import SCHEMA_VERSION, Base, SchemaRow
from boomerang.catalog.copies.dump import ROWS, Dump, reflected
from boomerang.catalog.database import engine_of, take_turn
from boomerang.catalog.migrations import schema
from boomerang.catalog.migrations.upgrading import upgrade
from boomerang.errors import BadRequest


def check_empty(url: str) -> None:
    """Refuse an address where something is kept already. Raises BadRequest."""
    if schema.look(url).empty:
        return
    engine = engine_of(url)
    try:
        with engine.begin() as connection:
            _check_empty(connection)
    finally:
        engine.dispose()


def load(
    url: str,
    folder: Path,
    dumped: Dump,
    told: Callable[[int], object] = lambda _: None,
    before_commit: Callable[[], object] = lambda: None,
) -> None:
    """Load what `dump` wrote, and bring it to the schema of this program, in one transaction.

    `told` is given the number of rows each time that some are there; `before_commit` is called once
    all are: what it raises leaves the database empty. Raises BadRequest where something is kept
    there already, for a schema that this program does not know, and for files of no catalog.
    """
    was = dumped.schema
    found = schema.Schema(number=int(was)) if dumped.numbered else schema.Schema(revision=was)
    schema.check(found)
    engine = engine_of(url).execution_options(boomerang_write=True)
    try:
        with engine.begin() as connection:
            schema.wait_for_writers(connection)
            take_turn(connection)
            _check_empty(connection)
            _make_tables(connection, found)
            there = {one.name: one for one in reflected(connection)}
            if strange := sorted(set(dumped.rows) - set(there)):
                raise _none_of_ours(f"No catalog has a table {strange[0]!r}.", strange[0])
            for name in (one for one in there if one in dumped.rows):
                _fill(connection, there[name], folder / f"{name}.jsonl", dumped.rows[name], told)
            for name, last in dumped.last.items():
                _go_on_after(connection, there[name], last)
            if not found.current:
                schema.mark(connection, found.after)
                upgrade(connection)
            before_commit()
    finally:
        engine.dispose()


def _check_empty(connection: sa.Connection) -> None:
    for table in reflected(connection):
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            raise BadRequest(
                f"There is a catalog already, with rows in {table.name}.",
                value=table.name,
                fix="Restore into an empty database and home: set BOOMERANG_HOME, or "
                "BOOMERANG_DATABASE_URL, to another.",
            )


def _make_tables(connection: sa.Connection, found: schema.Schema) -> None:
    """The tables as they were when they were written down, in place of those without rows."""
    for table in reversed(reflected(connection)):
        table.drop(connection)
    for table in (schema.REVISIONS, Base.metadata.tables[SchemaRow.__tablename__]):
        table.drop(connection, checkfirst=True)
        table.create(connection)
    connection.execute(sa.insert(SchemaRow).values(version=SCHEMA_VERSION))
    if found.current:
        Base.metadata.create_all(connection)
        schema.mark(connection, schema.HEAD)
    else:
        upgrade(connection, max(str(found), schema.KNOWN[0]))


def _fill(
    connection: sa.Connection, table: sa.Table, file: Path, expected: int,
    told: Callable[[int], object],
) -> None:  # fmt: skip
    count = 0
    with file.open(encoding="ascii") as lines:
        names = json.loads(next(lines, "[]"))
        if not isinstance(names, list) or not set(names) <= set(table.c.keys()):
            raise _none_of_ours(f"{file.name} has columns that no {table.name} have.", names)
        statement = _insertion(connection, table, names)
        kept = [isinstance(table.c[name].type, sa.JSON) for name in names]
        sqlite = connection.dialect.name == "sqlite"
        while batch := list(islice(_rows(lines, kept, strict=not sqlite), ROWS)):
            connection.execute(statement, [dict(zip(names, row, strict=True)) for row in batch])
            count += len(batch)
            told(len(batch))
    if count != expected:
        raise _none_of_ours(f"{file.name} has {count} rows of {expected}.", count)


def _rows(lines: Iterator[str], kept: list[bool], *, strict: bool) -> Iterator[list[Any]]:
    for line in lines:
        row = json.loads(line)
        yield [_json(v) if k and strict else v for v, k in zip(row, kept, strict=True)]


def _json(value: str | None) -> str | None:
    """JSON as PostgreSQL takes it: without the numbers that are none, which SQLite keeps."""
    if value is None or not ("NaN" in value or "Infinity" in value):
        return value
    return json.dumps(json.loads(value, parse_constant=lambda _: None))


def _insertion(connection: sa.Connection, table: sa.Table, names: list[str]) -> sa.Insert:
    """The statement that writes rows; what is kept as JSON comes as it was written."""
    sqlite = connection.dialect.name == "sqlite"
    values: dict[str, Any] = {}
    columns = []
    for name in names:
        kind = table.c[name].type
        given: sa.ColumnElement[Any] = sa.bindparam(name, type_=kind)
        if isinstance(kind, sa.JSON):
            given = sa.bindparam(name, type_=sa.String())
            kind = sa.String() if sqlite else postgresql.JSON()
            given = given if sqlite else sa.cast(given, kind)
        columns.append(sa.column(name, kind))
        values[name] = given
    return sa.insert(sa.table(table.name, *columns)).values(values)


def _go_on_after(connection: sa.Connection, table: sa.Table, last: int) -> None:
    """No number that was given is given again; SQLite promises that of events alone."""
    statements = ["SELECT setval(pg_get_serial_sequence(:of, 'id'), :last)"]
    if connection.dialect.name == "sqlite":
        ours = Base.metadata.tables[table.name].dialect_options["sqlite"]["autoincrement"]
        statements = [
            "DELETE FROM sqlite_sequence WHERE name = :of",
            "INSERT INTO sqlite_sequence (name, seq) VALUES (:of, :last)",
        ] * bool(ours)
    for statement in statements if last else ():
        bound = {"of": table.name, "last": last} if ":last" in statement else {"of": table.name}
        connection.execute(sa.text(statement), bound)


def _none_of_ours(said: str, value: object) -> BadRequest:
    return BadRequest(said, value=value, fix="Restore what `boomerang backup` made.")
