"""The steps of a worker's trainers: taken at once, written together, in order with all else."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Lease, LostLease
from tests.catalog.conftest import new_family, new_student, rungs
from tests.workers.conftest import wait_for
from workers.outages import passes
from workers.training.batches import Batches, Series

KEYS = tuple(letter * 32 for letter in "abc")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    for key in KEYS:
        opened.create_family(new_family(key), new_student(key), rungs())
    yield opened
    opened.close()


def series_of(catalog: Catalog, key: str) -> Series:
    lease = catalog.lease_acquire(f"student:{key}", "w", 30)
    assert lease is not None
    return Series(key, lease)


def test_steps_of_many_are_one_change_and_the_newest_is_seen(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, series = Batches(catalog, passes), [series_of(catalog, key) for key in KEYS]
    sizes, write = [], catalog.progress

    def noted(told: Any) -> Any:
        sizes.append(len(told))
        return write(told)

    monkeypatch.setattr(catalog, "progress", noted)
    before = catalog.last_event()
    for step in range(1, 201):
        for one in series:
            batches.put(one, {"step": step, "steps": 200}, tell=step % 50 == 0)
    wait_for(lambda: [catalog.student(key).step for key in KEYS] == [200] * 3)
    steps = [(e.student, e.payload["step"]) for e in catalog.events_after(before)]
    for key in KEYS:
        assert [step for student, step in steps if student == key] == [50, 100, 150, 200]
    # However fast they came, there were two or three changes; far from one for each.
    assert sum(sizes) < 60


def test_what_comes_next_finds_the_last_step_written(catalog: Catalog) -> None:
    batches, one = Batches(catalog, passes), series_of(catalog, KEYS[0])
    for step in range(1, 40):
        batches.put(one, {"step": step}, tell=False)
        batches.flush(one)
        assert catalog.student(KEYS[0]).step == step


def test_whoever_lost_a_lease_hears_of_it_and_the_others_do_not(catalog: Catalog) -> None:
    batches = Batches(catalog, passes)
    lost, kept = series_of(catalog, KEYS[0]), series_of(catalog, KEYS[1])
    catalog.lease_release(lost.lease)
    for one in (lost, kept):
        batches.put(one, {"step": 5}, tell=True)
    batches.flush(kept)
    with pytest.raises(LostLease):
        batches.put(lost, {"step": 6}, tell=True)
    with pytest.raises(LostLease):
        batches.flush(lost)
    assert [catalog.student(key).step for key in KEYS[:2]] == [0, 5]


def test_steps_that_no_database_takes_end_their_own_trainer_alone(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Batches(catalog, passes)
    bad, good = series_of(catalog, KEYS[0]), series_of(catalog, KEYS[1])
    held = threading.Event()
    write = catalog.progress
    monkeypatch.setattr(catalog, "progress", lambda told: held.wait(60) and write(told))
    batches.put(series_of(catalog, KEYS[2]), {"step": 1}, tell=False)
    batches.put(bad, {"step": object()}, tell=True)
    batches.put(good, {"step": 5}, tell=True)
    held.set()
    batches.flush(good)
    assert catalog.student(KEYS[1]).step == 5
    assert bad.refused is not None
    assert good.refused is None


def test_a_database_that_is_away_costs_steps_and_no_trainer(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, one = Batches(catalog, passes), series_of(catalog, KEYS[0])

    def away(told: object) -> None:
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("gone"))

    with monkeypatch.context() as gone:
        gone.setattr(catalog, "progress", away)
        batches.put(one, {"step": 3}, tell=True)
        batches.flush(one)
    assert isinstance(one.lease, Lease)
    batches.put(one, {"step": 4}, tell=True)
    batches.flush(one)
    assert catalog.student(KEYS[0]).step == 4
