"""Catalogs of older versions, as they were left, and what is asked of tables whatever made them."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, inspect, make_url, select, text

from boomerang.catalog.base import Base

HERE = Path(__file__).parent


def load_first(url: str) -> None:
    """Have the catalog of the first version that is kept at an empty database's address."""
    if url.startswith("sqlite"):
        file = Path(make_url(url).database or "")
        file.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(file) as connection:
            connection.executescript((HERE / "first.sqlite.sql").read_text())
        connection.close()
    else:
        with psycopg.connect(url) as connection:
            connection.execute((HERE / "first.postgresql.sql").read_text())


def rows(connection: Connection, tables: MetaData) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of these tables, with the columns that they have here."""
    return {
        name: sorted(map(tuple, connection.execute(select(table))), key=repr)
        for name, table in tables.tables.items()
    }


def tables_of(engine: Engine) -> MetaData:
    """The tables that there are."""
    found = MetaData()
    found.reflect(engine)
    return found


def shape(engine: Engine) -> dict[str, Any]:
    """All of what the tables are like, but for the order of their columns."""
    about = inspect(engine)
    kinds = ("columns", "indexes", "foreign_keys", "unique_constraints")
    found: dict[str, Any] = {}
    for name in sorted(about.get_table_names()):
        parts = {kind: sorted(map(str, getattr(about, f"get_{kind}")(name))) for kind in kinds}
        found[name] = parts | {"key": about.get_pk_constraint(name)["constrained_columns"]}
    return found


def differences(engine: Engine) -> list[Any]:
    """What Alembic would change for the tables to be those of the program."""
    with engine.connect() as connection:
        told = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=told)
        return list(compare_metadata(context, Base.metadata))


def number(engine: Engine, version: int) -> None:
    """Have a catalog look like one of before there were steps, of this number."""
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
        connection.execute(text(f"UPDATE schema_version SET version = {version}"))
