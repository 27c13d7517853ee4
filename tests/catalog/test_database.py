"""Opening a database that another process is just about to make."""

import sqlite3
import threading
from pathlib import Path

from boomerang.catalog.database import Database


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
