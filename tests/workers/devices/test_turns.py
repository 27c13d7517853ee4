"""Who shares a worker: with a real queue, a real worker, and a trainer that stands for one."""

from pathlib import Path

import pytest
from sqlalchemy import update

from boomerang.catalog.records.states import StudentState
from boomerang.catalog.tables import StudentRow
from tests.workers.conftest import Backend, wait_for

pytestmark = pytest.mark.long("real workers distil seven students")


def ask(backend: Backend, owner: str, key: str, mode: str = "quick") -> str:
    backend.ask(mode, key=key * 32)
    with backend.catalog.db.write() as session:
        mine = update(StudentRow).where(StudentRow.key == key * 32)
        session.execute(mine.values(owner=owner))
    return key * 32


def test_one_is_not_behind_the_six_of_another(backend: Backend) -> None:
    """And six bells and one have seven students made, each once, and charged to their keys."""
    mine = [ask(backend, "alice", name) for name in "abcdef"]
    other = ask(backend, "bob", "9")
    every = [*mine, other]
    backend.worker()
    catalog = backend.catalog
    wait_for(lambda: all(catalog.student(k).state is StudentState.READY for k in every), 120)
    begun = [
        event.student
        for event in catalog.events_after(0)
        if event.kind == "student" and event.payload["state"] == "distilling"
    ]
    assert begun[:2] == [mine[0], other]
    assert sorted(map(str, begun)) == sorted(every)
    assert all(len(backend.trainers(key)) == 1 for key in every)
    wait_for(lambda: catalog.used("bob").device_seconds > 0)
    assert catalog.used("alice").device_seconds > catalog.used("bob").device_seconds


def test_a_key_has_one_at_a_time_where_it_may_have_one(tmp_path: Path) -> None:
    backend = Backend(tmp_path, running_at_once=1)
    try:
        keys = [ask(backend, "alice", name) for name in "abc"]
        for name in ("one", "two"):
            backend.worker(name, ("distill",))
        catalog = backend.catalog
        wait_for(lambda: all(catalog.student(k).state is StudentState.READY for k in keys), 120)
        running = most = 0
        for event in catalog.events_after(0):
            if event.kind == "student" and event.payload["state"] == "distilling":
                running += 1
            if event.kind == "student" and event.payload["state"] == "ready":
                running -= 1
            most = max(most, running)
        assert most == 1
        assert all(len(backend.trainers(key)) == 1 for key in keys)
    finally:
        backend.close()
