"""Many distillations' steps in one change: each is guarded by its own lease, all cost the same."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import LostLease, StudentState
from boomerang.catalog.students.progress import Steps
from boomerang.errors import NotFound
from tests.app.serving.test_scale import counted
from tests.catalog.conftest import new_family, new_student, rungs

KEYS = tuple(letter * 32 for letter in "abcdefgh")


@pytest.fixture
def many(catalog: Catalog) -> Catalog:
    for key in KEYS:
        catalog.create_family(new_family(key), new_student(key), rungs())
    return catalog


def test_what_lost_its_lease_is_refused_and_keeps_none_back(many: Catalog) -> None:
    leases = [many.lease_acquire(f"student:{key}", "w", 30) for key in KEYS[:3]]
    assert leases[1] is not None
    many.lease_release(leases[1])
    again = many.lease_acquire(f"student:{KEYS[1]}", "w", 30)
    before = many.last_event()
    told = [
        Steps(key, {"step": 7, "loss": 1.5}, ({"step": 6}, {"step": 7}), lease)
        for key, lease in zip(KEYS, [*leases, again], strict=False)
    ]
    told += [Steps(KEYS[1], {"step": 9, "other": 1}, (), again), Steps("n" * 32, {"step": 1})]
    told[3] = Steps(KEYS[3], {"step": 3})
    refused = many.progress(told)
    assert [type(why) for why in refused] == [
        type(None), LostLease, type(None), type(None), type(None), NotFound,
    ]  # fmt: skip
    assert [many.student(key).step for key in KEYS[:4]] == [7, 9, 7, 3]
    assert many.student(KEYS[0]).loss == 1.5
    steps = [(one.student, one.payload["step"]) for one in many.events_after(before)]
    assert steps == [(KEYS[0], 6), (KEYS[0], 7), (KEYS[2], 6), (KEYS[2], 7)]


def test_many_ask_the_database_as_much_as_one(many: Catalog) -> None:
    asked = []
    for keys in (KEYS[:1], KEYS):
        with counted(many) as statements:
            many.progress([Steps(key, {"step": 5, "steps": 9}, ({"step": 5},)) for key in keys])
        asked.append(len(statements))
    assert asked[0] == asked[1] <= 8


def test_a_lease_is_renewed_while_another_writes_and_no_twice_given(catalog: Catalog) -> None:
    if catalog.db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    kept = catalog.lease_acquire("kept", "a", 30)
    ended = catalog.lease_acquire("ended", "a", 1e-9)
    assert kept is not None
    assert ended is not None
    with ThreadPoolExecutor(1) as pool:
        with catalog.db.write() as session:
            session.execute(text("SELECT 1"))
            assert pool.submit(catalog.lease_renew, kept, 30).result(60)
        with catalog.db.write() as session:
            # Whoever was given up for dead comes back while the reaper has it in its hands.
            from boomerang.catalog.leases import died

            assert died(session, "ended")
            late = pool.submit(catalog.lease_renew, ended, 30)
            with pytest.raises(TimeoutError):
                late.result(0.3)
        assert late.result(60) is False
    assert catalog.lease_holder("ended") is None


def test_a_student_that_is_ready_is_at_its_last_step(catalog: Catalog) -> None:
    """As under chaos: its worker had not written the last steps when it was killed."""
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.set_student_state("k" * 32, StudentState.DISTILLING)
    catalog.student_progress("k" * 32, {"step": 70, "steps": 88})
    catalog.student_whole("k" * 32, {"w": "1"}, made=True)
    assert catalog.student("k" * 32).step == 88
