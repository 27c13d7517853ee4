"""Opening a database: of this schema, an older one, or one that is being made."""

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from boomerang.catalog import database
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import Database
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact
from boomerang.errors import BadRequest
from tests.catalog.conftest import new_family, new_student, result, rungs
from workers.outages import passes

LATER = {
    1: ("members.generation", "members.flags"),
    2: ("members.tasks", "families.tasks"),
    3: tuple(
        f"{table}.{name}"
        for table, names in (
            ("students", "away_since due saved micro_batch killed_at verify files"),
            ("families", "away_since due cancel"),
            ("requests", "away_since due"),
        )
        for name in names.split()
    ),
    4: (),
    5: ("members.made_of",),
    6: (
        *(
            f"{name}.waited"
            for name in ("students", "families", "requests", "tries", "provisional")
        ),
        "repositories.made_of",
    ),
    7: (
        *(f"students.{name}" for name in ("map_rule", "pinned", "map_reason")),
        "families.replaced",
        *(f"members.{name}" for name in ("agreement", "acceptance", "drafted", "by_position")),
    ),
    8: (
        *("families.outdated", "families.about", "members.errors"),
        *("students.hub_repo", "students.hub_commit"),
        *(f"repositories.{name}" for name in ("commit", "files", "gated", "credential")),
    ),
    9: ("leases.since", "requests.updated", "families.shape", "families.state"),
    10: (
        *(
            f"{table}.trace"
            for table in (
                "families",
                "follows",
                "keeping",
                "notices",
                "provisional",
                "rebuilds",
                "requests",
                "students",
                "tries",
            )
        ),
        "requests.owner",
        "students.owner",
    ),
}
LATER_INDEXES = (
    "ix_leases_expires", "ix_families_settled", "ix_students_verify", "families_newest",
    "families_of_a_state", "provisional_newest", "ix_requests_owner", "ix_students_owner",
)  # fmt: skip
"""Of tables that are older than schema 11."""


@pytest.mark.parametrize("version", LATER)
def test_a_catalog_of_an_older_schema_is_brought_up_to_date(
    catalog: Catalog, url: str, version: int
) -> None:
    with catalog.db.write() as session:
        session.execute(text(f"UPDATE schema_version SET version = {version}"))
        for index in LATER_INDEXES:
            session.execute(text(f"DROP INDEX {index}"))
        for column in (one for since in range(version, 11) for one in LATER[since]):
            table, _, name = column.partition(".")
            session.execute(text(f'ALTER TABLE {table} DROP COLUMN "{name}"'))
        # Tables that came later are made whole.
        for table, last in (
            ("revisions", 3),
            ("provisional", 4),
            ("tries", 5),
            ("stale", 6),
            ("model_files", 6),
            ("comparisons", 6),
        ):
            if version <= last:
                session.execute(text(f"DROP TABLE {table}"))
    later = Catalog(url)
    try:
        tables = inspect(later.db.engine)
        there = {i["name"] for name in tables.get_table_names() for i in tables.get_indexes(name)}
        assert set(LATER_INDEXES) <= there
        tasks = {"arc_easy": 10}
        made = later.create_family(new_family(tasks=tasks), new_student(), rungs()).family
        assert later.member(made.id, 0).agreement is None
        figures = {"agreement": 0.5, "drafted": 0.4, "by_position": [9.0, None]}
        later.set_fact(made.id, 0, "measured", Fact.YES, flags=["A dip."], **figures)
        assert later.member(made.id, 0).by_position == (9.0, None)
        later.set_task(made.id, 0, result("arc_easy"))
        assert later.family(made.id).tasks == tasks
        assert later.member(made.id, 0).flags == ("A dip.",)
        assert later.member(made.id, 0).tasks == {"arc_easy": result("arc_easy")}
        later.student_saved("k" * 32, {"step": 5})
        later.student_whole("k" * 32, {"model.safetensors": "a" * 64}, made=True)
        later.set_fact(made.id, 0, "built", Fact.YES, made_of="c" * 40)
        assert later.member(made.id, 0).made_of == "c" * 40
        later.claim_repo("me/x", made.id)
        there = Publication(repo="me/x", family=made.id, private=True, card="c", made_of="m")
        later.set_publication(there)
        assert (later.publication("me/x"), later.stale(made.id)) == (there, {})
        later.remember_files("c" * 40, {"config.json": "d"})
        assert later.files_at("c" * 40) == {"config.json": "d"}
        assert later.student("k" * 32).files == {"model.safetensors": "a" * 64}
    finally:
        later.close()
    Catalog(url).close()


def test_another_schema_is_refused(catalog: Catalog, url: str) -> None:
    with catalog.db.write() as session:
        session.execute(text("UPDATE schema_version SET version = 999"))
    with pytest.raises(BadRequest, match="schema 999"):
        Catalog(url)


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
