"""`boomerang migrate`, as a process over a real catalog."""

from pathlib import Path

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import engine_of
from boomerang.catalog.migrations import schema
from tests.catalog.migrations.kept import load_first, number
from tests.support.cli_stub import boomerang, told

pytestmark = pytest.mark.slow("the command line as a process, a few times")


def test_a_catalog_is_looked_at_and_brought_up_to_date(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    load_first(url)
    done = boomerang("migrate", "--check", BOOMERANG_DATABASE_URL=url)
    assert done.returncode == 1
    steps = ", ".join(schema.KNOWN)
    assert done.stdout == (
        f"The catalog would be brought from schema 0003 to {schema.HEAD}: {steps}.\n"
    )
    assert schema.look(url).number == 3
    # What the settings keep programs from doing is what the command is for.
    now = told("migrate", BOOMERANG_DATABASE_URL=url, BOOMERANG_MIGRATE="false")
    assert now["before"] == "0003"
    assert (now["needed"], now["steps"]) == (schema.HEAD, list(schema.KNOWN))
    catalog = Catalog(url, migrate=False)
    assert len(catalog.events_after(0)) == 4
    catalog.close()


def test_a_later_catalog_is_refused_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.sqlite'}"
    assert told("migrate", BOOMERANG_DATABASE_URL=url)["before"] == "none"
    engine = engine_of(url)
    number(engine, 999)
    engine.dispose()
    done = boomerang("migrate", BOOMERANG_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "schema 0999" in done.stderr
    assert "later one" in done.stderr
