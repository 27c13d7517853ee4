"""Leases: one holder, and nothing written by whoever lost one."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.leases import LOOK
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, LostLease, StudentState
from tests.app.serving.test_scale import counted
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.test_catalog import KEY


def test_a_lease_has_one_holder_and_its_fence_only_grows(catalog: Catalog) -> None:
    with ThreadPoolExecutor(20) as pool:
        taken = pool.map(lambda i: catalog.lease_acquire("job", f"h{i}", 30), range(20))
    (first,) = [lease for lease in taken if lease is not None]
    assert catalog.lease_holder("job") == first.holder
    assert catalog.lease_renew(first, 30)
    catalog.lease_release(first)
    assert catalog.lease_holder("job") is None
    second = catalog.lease_acquire("job", "later", 30)
    assert second is not None
    assert second.fence == first.fence + 1
    assert not catalog.lease_renew(first, 30)
    catalog.lease_release(first)
    assert catalog.lease_holder("job") == "later"


def test_whoever_lost_a_lease_writes_nothing_more(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    old = catalog.lease_acquire(f"student:{KEY}", "slow", 0.05)
    time.sleep(0.1)
    new = catalog.lease_acquire(f"student:{KEY}", "quick", 30)
    assert old is not None
    assert new is not None
    before = catalog.last_event()
    with pytest.raises(LostLease):
        catalog.set_student_state(KEY, StudentState.READY, lease=old)
    with pytest.raises(LostLease):
        catalog.student_progress(KEY, {"step": 5}, lease=old)
    with pytest.raises(LostLease):
        catalog.set_fact(family, 0, "built", Fact.YES, lease=old)
    assert catalog.last_event() == before
    assert catalog.student(KEY).state is StudentState.QUEUED
    catalog.set_student_state(KEY, StudentState.DISTILLING, lease=new)
    assert catalog.student(KEY).started is not None


def test_a_publisher_that_lost_its_lease_says_nothing_of_a_repository(catalog: Catalog) -> None:
    old = catalog.lease_acquire("publish:d0", "a", 30)
    assert old is not None
    catalog.lease_release(old)
    catalog.lease_acquire("publish:d0", "b", 30)
    with pytest.raises(LostLease):
        catalog.claim_repo("me/x", "f", lease=old)
    with pytest.raises(LostLease):
        catalog.set_publication(
            Publication(repo="me/x", family="f", private=True, card="c"), lease=old
        )
    catalog.claim_repo("me/x", "another")
    assert catalog.publication("me/x") is None


def test_of_all_workers_one_looks_for_lost_jobs_in_an_interval(catalog: Catalog) -> None:
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(lambda _: catalog.look_due(30), range(20))) == 1
    assert not catalog.look_due(30)
    assert catalog.look_due(0.05), "a longer interval was set before, or the clock is behind"
    time.sleep(0.1)
    assert catalog.look_due(30), "whoever looked may be dead"
    assert catalog.lease_holder(LOOK) is None


def test_a_look_for_lost_jobs_asks_as_much_for_many_as_for_few(catalog: Catalog) -> None:
    asked = []
    for number in (2, 12):
        for at in range(number):
            key = f"{number}{at}".rjust(32, "0")
            catalog.create_family(new_family(key, name=key), new_student(key), rungs())
        assert len(catalog.reap(0.0, 3)) >= number
        with counted(catalog) as statements:
            catalog.reap(60, 3)
        asked.append(len(statements))
    assert asked[0] == asked[1]
