"""Jobs that nobody holds are sent again, by one reaper."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from boomerang.catalog import setbacks
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.leases import lost_leases
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.test_catalog import KEY


def lapsed(catalog: Catalog) -> set[str]:
    with catalog.db.read() as session:
        return lost_leases(session)


def test_what_nobody_holds_is_sent_again_by_one_reaper(catalog: Catalog) -> None:
    catalog.create_family(new_family(), new_student())
    assert catalog.reap(60, 3) == ()
    assert catalog.reap(0.0, 3) == (Due("distill", KEY),)
    catalog.expect_resend()
    with ThreadPoolExecutor(8) as pool:
        found = [due for some in pool.map(lambda _: catalog.reap(60, 3), range(8)) for due in some]
    assert found == [Due("distill", KEY)]
    lease = catalog.lease_acquire(f"student:{KEY}", "a", 30)
    assert catalog.reap(0.0, 3) == ()
    assert lease is not None


@pytest.mark.parametrize("what", ["distilled", "verified", "measured"])
def test_a_lost_worker_is_replaced_later_each_time_and_not_for_ever(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    clock = [1e9]
    monkeypatch.setattr(catalog.db, "now", lambda _: clock[0])
    family = catalog.create_family(new_family(), new_student()).family.id
    if what != "distilled":
        catalog.student_whole(KEY, {}, made=True)
    if what == "verified":
        catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
        catalog.set_measuring(family, Fact.NO, "no texts")
        catalog.rebuild(family)
    subject = f"family:{family}" if what == "measured" else f"student:{KEY}"
    waits = []
    for _ in range(4):
        lease = catalog.lease_acquire(subject, "one that dies", 30)
        # The first one dies before it says that it began.
        if what == "distilled" and waits:
            catalog.set_student_state(KEY, StudentState.DISTILLING, lease=lease)
        elif what == "measured" and waits:
            catalog.set_measuring(family, Fact.RUNNING, lease=lease)
        clock[0] += 31
        lost = clock[0]
        due = catalog.reap(600, 4)
        while not due and clock[0] < lost + 60:
            clock[0] += 0.5
            due = catalog.reap(600, 4)
        assert {one.job for one in due} <= {"measure" if what == "measured" else "distill"}
        waits.append(clock[0] - lost)
    assert waits == [1, 2, 4, 60]
    told = [str(event.payload.get("reason")) for event in catalog.events_after(0)]
    assert told[-1] == "its worker was lost 4 times"
    assert "its worker was lost; again in 2 s" in told


@pytest.mark.parametrize("kind", ["student", "family"])
def test_whoever_died_after_the_last_change_costs_the_next_attempt_nothing(
    catalog: Catalog, kind: str
) -> None:
    """Under the 200 faults of seed 1: killed between what it wrote last and the lease's release."""
    family = catalog.create_family(new_family(), new_student()).family.id
    subject = f"student:{KEY}" if kind == "student" else f"family:{family}"
    if kind == "family":
        catalog.student_whole(KEY, {}, made=True)
        catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
    lease = catalog.lease_acquire(subject, "one that dies", 0.05)
    if kind == "student":
        catalog.student_whole(KEY, {}, made=True, lease=lease)
    else:
        catalog.set_measuring(family, Fact.NO, "no texts", lease=lease)
    time.sleep(0.1)
    assert subject in lapsed(catalog)
    catalog.reap(600, 3)
    assert not lapsed(catalog)
    told = [str(event.payload.get("reason")) for event in catalog.events_after(0)]
    assert not any("lost" in reason for reason in told)


def test_measuring_and_requests_are_sent_again_too(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setbacks, "_FIRST_SECONDS", 0.1)
    request = NewRequest(kind="build", what="*")
    family = catalog.create_family(new_family(), new_student(), requests=[request]).family.id
    catalog.set_student_state(KEY, StudentState.READY)
    catalog.expect_resend()
    assert catalog.reap(60, 3) == (Due("measure", family),)
    catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
    catalog.set_measuring(family, Fact.RUNNING)
    assert catalog.reap(60, 3) == ()
    time.sleep(0.1)
    assert catalog.reap(60, 3) == (Due("measure", family),)
    # It waits in the queue now, and that is no further loss.
    assert catalog.reap(60, 3) == ()
    catalog.measure_resend(family, "stopped")
    assert catalog.reap(60, 3) == (Due("measure", family),)
    catalog.set_measuring(family, Fact.NO, "no texts")
    catalog.expect_resend()
    assert catalog.reap(60, 3) == (Due("settle", family),)
