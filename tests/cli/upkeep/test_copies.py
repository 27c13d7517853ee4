"""`boomerang backup` and `restore`, as processes: the home of an older version moves."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from boomerang.catalog.catalog import Catalog
from tests.support.cli_stub import boomerang, told
from tests.support.places import ROOT

pytestmark = pytest.mark.long("the command line as a process, a few times")

KEPT = ROOT / "tests" / "homes" / "distilled"


def test_the_home_of_an_older_version_moves(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    shutil.copytree(KEPT / "home", home)
    with sqlite3.connect(home / "catalog.sqlite") as catalog:
        catalog.executescript((KEPT / "catalog.sql").read_text())
    catalog.close()
    made = told("backup", tmp_path / "copy.tar", BOOMERANG_HOME=str(home))
    assert (len(made["students"]), made["missing"], made["damaged"]) == (1, [], [])
    done = boomerang("restore", tmp_path / "copy.tar", BOOMERANG_HOME=str(other))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" rows of the catalog, 1 students.\n")
    key = made["students"][0]
    moved = {path.name: path.read_bytes() for path in (other / "students" / key).iterdir()}
    assert moved == {path.name: path.read_bytes() for path in (home / "students" / key).iterdir()}
    opened = Catalog(f"sqlite:///{other / 'catalog.sqlite'}", migrate=False)
    assert opened.student(key).state == "ready"
    opened.close()
    # A student that is gone is said, and does not keep the others from being copied.
    shutil.rmtree(home / "students" / key)
    done = boomerang("backup", tmp_path / "second", BOOMERANG_HOME=str(home))
    assert done.returncode == 1
    assert f"Not there, and so not in it: {key}" in done.stdout
    assert (tmp_path / "second" / "SHA256SUMS").exists()
