"""Every older catalog becomes the present one with all that is in it, or stays what it was."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import engine_of
from boomerang.catalog.migrations import schema, upgrading
from boomerang.catalog.records.states import CatalogChanged, StudentState
from boomerang.errors import BadRequest
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.migrations.kept import differences, load_first, number, rows, shape, tables_of

NUMBERS = [(1, 3), (3, 3), (4, 3), (7, 6), (9, 8), (10, 9), (10, 10), (11, 10)]
"""Of a catalog, with the last step of which everything is there."""


def to(url: str, revision: str) -> None:
    """Take the steps up to one."""
    engine = engine_of(url)
    with engine.execution_options(boomerang_write=True).begin() as connection:
        told = upgrading.config()
        told.attributes["connection"] = connection
        command.upgrade(told, revision)
    engine.dispose()


def test_the_program_needs_what_the_last_step_gives() -> None:
    steps = ScriptDirectory.from_config(upgrading.config())
    assert steps.get_heads() == [schema.HEAD]
    assert tuple(reversed([one.revision for one in steps.walk_revisions()])) == schema.KNOWN


@pytest.mark.slow("a whole catalog is unpacked and brought up to date")
def test_the_first_catalog_keeps_all_that_is_in_it(url: str) -> None:
    load_first(url)
    engine = engine_of(url)
    tables = tables_of(engine)
    with engine.connect() as connection:
        before = rows(connection, tables)
    assert all(before.values())
    catalog = Catalog(url)
    with engine.connect() as connection:
        after = rows(connection, tables)
    assert (before.pop("schema_version"), after.pop("schema_version")) == ([(3,)], [(11,)])
    assert after == before
    assert schema.look(url).current
    family = catalog.family("f" * 16)
    assert (family.patch_order, family.tasks) == ((1, "last"), {"arc_easy": 10})
    assert catalog.student("a" * 64).state is StudentState.READY
    assert catalog.member("f" * 16, 1).flags == ("A dip.",)
    assert [event.payload.get("step") for event in catalog.events_after(0)] == [0, 1, 2, None]
    # Lists find families by a column that only a later step made.
    with engine.connect() as connection:
        states = connection.execute(text("SELECT id, state FROM families ORDER BY id")).all()
    assert [tuple(row) for row in states] == [("e" * 16, "distilling"), ("f" * 16, "ready")]
    made = catalog.create_family(new_family(), new_student(), rungs()).family
    assert catalog.family(made.id).student == "k" * 32
    assert catalog.events_after(4)
    catalog.close()
    engine.dispose()


@pytest.mark.slow("all that two databases say of their tables is compared")
def test_made_anew_or_step_by_step_it_is_the_same(url: str) -> None:
    Catalog(url).close()
    engine = engine_of(url)
    assert differences(engine) == []
    made = shape(engine)
    with engine.begin() as connection:
        for name in reversed(tables_of(engine).sorted_tables):
            name.drop(connection)
    load_first(url)
    Catalog(url).close()
    assert differences(engine) == []
    assert shape(engine) == made
    engine.dispose()


@pytest.mark.slow("eight catalogs are made and brought up to date")
def test_a_numbered_catalog_is_brought_up_to_date(tmp_path: Path) -> None:
    """Programs of one number differed: some made nothing yet of what came with it, some all."""
    for version, step in NUMBERS:
        url = f"sqlite:///{tmp_path / f'{version}-{step}.sqlite'}"
        load_first(url)
        to(url, f"{step:04}")
        engine = engine_of(url)
        number(engine, version)
        found = schema.look(url)
        assert (found.number, found.current, found.known) == (version, False, True)
        assert found.waiting[-1] == schema.HEAD
        catalog = Catalog(url)
        assert len(catalog.events_after(0)) == 4
        assert differences(engine) == []
        catalog.close()
        engine.dispose()


@pytest.mark.parametrize(
    "change",
    ["UPDATE alembic_version SET version_num = '9999'", "UPDATE schema_version SET version = 999"],
)
def test_a_later_schema_is_refused(catalog: Catalog, url: str, change: str) -> None:
    if "schema_version" in change:
        number(catalog.db.engine, 11)
    with catalog.db.engine.begin() as connection:
        connection.execute(text(change))
    with pytest.raises(BadRequest, match=r"schema [09]999;.*later one"):
        Catalog(url)


def test_an_operator_may_keep_programs_from_changing_it(url: str) -> None:
    Catalog(url, migrate=False).close()
    engine = engine_of(url)
    number(engine, 10)
    with pytest.raises(BadRequest, match=r"schema 0010; .* needs .* `boomerang migrate`"):
        Catalog(url, migrate=False)
    assert schema.look(url).number == 10
    Catalog(url).close()
    Catalog(url, migrate=False).close()
    engine.dispose()


def test_whoever_opened_it_before_writes_no_more(catalog: Catalog, url: str) -> None:
    """A change that was begun is ended first; one that waits meanwhile is refused."""
    writer = engine_of(url).execution_options(boomerang_write=True)
    caught: list[BaseException] = []

    def write() -> None:
        try:
            catalog.lease_acquire("student:k", "old", 60)
        except CatalogChanged as error:
            caught.append(error)

    with writer.begin() as connection:
        schema.wait_for_writers(connection)
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    waiting.join(30)
    assert "9999" in str(caught[0])
    assert catalog.lease_holder("student:k") is None
    with pytest.raises(CatalogChanged):
        catalog.lease_acquire("student:k", "old", 60)
    writer.dispose()


@pytest.mark.slow("a whole catalog is unpacked and brought up to date")
def test_a_step_that_fails_leaves_nothing_behind(url: str) -> None:
    load_first(url)
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW owners AS SELECT 1 AS family"))
    before = shape(engine)
    with pytest.raises(DBAPIError):
        Catalog(url)
    assert shape(engine) == before
    assert schema.look(url).number == 3
    with engine.begin() as connection:
        connection.execute(text("DROP VIEW owners"))
    Catalog(url).close()
    assert differences(engine) == []
    engine.dispose()


@pytest.mark.long("three programs open one old catalog")
def test_programs_that_open_it_together_change_it_once(url: str) -> None:
    load_first(url)
    script = (
        "import sys; from boomerang.catalog.catalog import Catalog\n"
        "assert 'alembic.command' not in sys.modules; input(); Catalog(sys.argv[1]).close()\n"
        "print('alembic.command' in sys.modules)"
    )
    command_line = [sys.executable, "-c", script, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command_line, env=os.environ.copy(), **pipes) for _ in range(3)]
    # All have imported what they need before the first is let go.
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 3
    assert "True\n" in said
    catalog = Catalog(url)
    assert len(catalog.events_after(0)) == 4
    assert differences(catalog.db.engine) == []
    catalog.close()
