"""Opening a database: one that is being made, and one whose writer fell silent."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from boomerang.catalog import database
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import Database
from boomerang.errors import BadRequest
from boomerang.retries import passes


def test_another_database_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        Catalog("mysql://host/name")
    assert caught.value.value == "mysql"


def test_it_waits_for_whoever_makes_the_database(tmp_path: Path) -> None:
    file = tmp_path / "catalog.sqlite"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    # Beside a writer that has not committed, SQLite refuses another journal at once.
    other.execute("BEGIN IMMEDIATE")
    other.execute("CREATE TABLE theirs (a)")
    release = threading.Timer(0.5, other.commit)
    release.start()
    database = Database(f"sqlite:///{file}")
    release.join()
    other.close()
    with database.read() as session:
        assert session.connection().exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


def test_a_writer_that_is_frozen_does_not_stop_the_others(
    on_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_SILENCE", 0.5)
    frozen, other = Catalog(on_postgres), Catalog(on_postgres)
    taken = []

    def work() -> None:
        with frozen.db.write() as session:
            session.note("frozen", {})
            # It holds the writers' lock, and says nothing more for now.
            taken.append(other.lease_acquire("student:k", "other", 60))
            session.note("thawed", {})

    with pytest.raises(DBAPIError) as lost:
        work()
    assert passes(lost.value)
    assert taken[0] is not None
    assert [event.kind for event in other.events_after(0)] == []
    assert frozen.lease_holder("student:k") == "other"
    frozen.close()
    other.close()
