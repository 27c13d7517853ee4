"""What was written down from one database is the same in another, of whatever kind."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import JSON, Boolean, Column, Float, Integer, String, insert, text

from boomerang.catalog.base import Base, SchemaRow, Text
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.copies.dump import Dump, dump
from boomerang.catalog.copies.load import check_empty, load
from boomerang.catalog.database import engine_of
from boomerang.catalog.migrations import schema
from boomerang.errors import BadRequest, NotFound
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.migrations.kept import differences, load_first
from tests.support.databases import new_database

WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


POOLS = st.fixed_dictionaries(
    {
        "words": st.lists(WORDS, min_size=4, max_size=6),
        "numbers": st.lists(NUMBERS, min_size=4, max_size=6),
        "wholes": st.lists(st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=6),
        "values": st.lists(st.dictionaries(WORDS, VALUES, max_size=3), min_size=4, max_size=6),
    }
)
"""What the columns of every table are filled from, in turn."""


def value_of(column: Column[Any], row: int, turn: int, pools: dict[str, list[Any]]) -> Any:
    """What stands in a column of a row; `turn` is another one for each."""
    kind = column.type
    if column.nullable and turn % 5 == 0:
        return None
    indexed = any(column.name in index.columns for index in column.table.indexes)
    if (column.primary_key or column.unique or indexed) and isinstance(kind, String | Text):
        return f"{row}{pools['words'][turn % len(pools['words'])]}"[:16]
    if column.primary_key:
        return row + 1
    if isinstance(kind, Boolean):
        return turn % 2 == 0
    name = "words"
    for type_, of in ((JSON, "values"), (Float, "numbers"), (Integer, "wholes")):
        name = of if isinstance(kind, type_) else name
    return pools[name][turn % len(pools[name])]


def fill(url: str, pools: dict[str, list[Any]]) -> None:
    """Put some rows into every table, whatever they mean."""
    Catalog(url).close()
    engine = engine_of(url)
    keys: dict[str, list[Any]] = {}
    turns = count()
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name == SchemaRow.__tablename__:
                continue
            rows = []
            for number in range(3):
                row = {}
                for column in table.columns:
                    refers = [key.column.table.name for key in column.foreign_keys]
                    found = value_of(column, number, next(turns), pools)
                    row[column.key] = keys[refers[0]][number] if refers else found
                rows.append(row)
            connection.execute(insert(table), rows)
            first = next(iter(table.primary_key.columns)).key
            keys[table.name] = [row[first] for row in rows]
        connection.execute(text("DELETE FROM events WHERE id = 3"))
    engine.dispose()


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


def written(url: str, folder: Path) -> tuple[Dump, Path]:
    folder.mkdir()
    return dump(url, folder), folder


@pytest.mark.long("catalogs in three databases, a few times")
@settings(max_examples=2, derandomize=True, phases=[Phase.generate])
@given(pools=POOLS)
def test_from_sqlite_to_postgresql_and_back_nothing_is_lost(
    postgres: str, tmp_path_factory: pytest.TempPathFactory, pools: dict[str, list[Any]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("copies")
    first = f"sqlite:///{tmp_path / 'first.sqlite'}"
    fill(first, pools)
    of_first, folder = written(first, tmp_path / "a")
    second = new_database(postgres)
    load(second, folder, of_first)
    of_second, again = written(second, tmp_path / "b")
    third = f"sqlite:///{tmp_path / 'third.sqlite'}"
    load(third, again, of_second)
    of_third, last = written(third, tmp_path / "c")
    assert files(folder) == files(again) == files(last)
    assert of_first.rows == of_second.rows == of_third.rows
    assert of_first.last == of_second.last == of_third.last
    assert of_first.last["events"] == 3
    assert set(of_first.rows) == set(Base.metadata.tables) - {SchemaRow.__tablename__}
    # Its numbers go on after those that were given, also of rows that are gone.
    for url in (second, third):
        catalog = Catalog(url, migrate=False)
        assert differences(catalog.db.engine) == []
        with catalog.db.write() as session:
            session.note("after", {})
            assert session.last_event() == 4
        catalog.close()


def test_a_catalog_of_an_older_schema_is_loaded_as_the_present_one(
    url: str, tmp_path: Path
) -> None:
    old = f"sqlite:///{tmp_path / 'old.sqlite'}"
    load_first(old)
    told: list[int] = []
    dumped, folder = written(old, tmp_path / "a")
    assert (dumped.schema, dumped.numbered) == ("0003", True)
    assert schema.look(old).number == 3
    load(url, folder, dumped, told.append)
    assert sum(told) == sum(dumped.rows.values())
    catalog = Catalog(url, migrate=False)
    assert catalog.family("f" * 16).patch_order == (1, "last")
    assert len(catalog.events_after(0)) == 4
    with catalog.db.read() as session:
        states = session.execute(text("SELECT id, state FROM families ORDER BY id")).all()
    assert [tuple(row) for row in states] == [("e" * 16, "distilling"), ("f" * 16, "ready")]
    catalog.close()


def test_numbers_that_are_none_do_not_keep_it_from_postgresql(
    on_postgres: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'c.sqlite'}"
    catalog = Catalog(url)
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.student_note("k" * 32, "progress", {"loss": float("nan"), "said": "NaN"})
    catalog.close()
    dumped, folder = written(url, tmp_path / "a")
    load(on_postgres, folder, dumped)
    catalog = Catalog(on_postgres)
    assert catalog.events_after(0)[-1].payload == {"loss": None, "said": "NaN"}
    catalog.close()


@pytest.mark.long("a catalog is loaded again and again")
def test_what_cannot_be_loaded_leaves_the_database_empty(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        dump(f"sqlite:///{tmp_path / 'none.sqlite'}", tmp_path)
    assert not (tmp_path / "none.sqlite").exists()
    kept = f"sqlite:///{tmp_path / 'kept.sqlite'}"
    catalog = Catalog(kept)
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.close()
    dumped, folder = written(kept, tmp_path / "a")
    with pytest.raises(BadRequest, match="rows in"):
        check_empty(kept)
    with pytest.raises(BadRequest, match="rows in"):
        load(kept, folder, dumped)
    # A service that was started by mistake has made tables, but nothing is in them.
    Catalog(url).close()
    check_empty(url)
    members = folder / "members.jsonl"
    whole = members.read_text()
    for wrong in (whole.splitlines()[0] + "\n", whole.replace('"size"', '"sise"')):
        members.write_text(wrong)
        with pytest.raises(BadRequest, match="members"):
            load(url, folder, dumped)
        check_empty(url)
    members.write_text(whole)

    def stop() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        load(url, folder, dumped, before_commit=stop)
    check_empty(url)
    load(url, folder, dumped)
    with pytest.raises(BadRequest, match="rows in"):
        check_empty(url)
