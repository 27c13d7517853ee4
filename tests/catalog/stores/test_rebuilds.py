"""Rebuilds: one for equal requests, lost with no message, over for a reason."""

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.setbacks import Limits
from boomerang.catalog.transitions import IllegalTransition
from boomerang.errors import NotFound
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
WHOLE = Item(kind="student", name=KEY, state="whole", bytes=7)


def made(catalog: Catalog, order: str = "last") -> str:
    """The id of a family whose student is ready, and that is settled."""
    id_ = catalog.create_family(new_family(order=order), new_student(), rungs()).family.id
    if catalog.student(KEY).state is not StudentState.READY:
        catalog.student_whole(KEY, {}, made=True)
    catalog.set_members(id_, rungs(), patch_order=(1,), chosen="last")
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_measuring(id_, state)
    return id_


def test_a_rebuild_is_due_once_nothing_of_its_family_is_under_way(catalog: Catalog) -> None:
    id_, other = made(catalog), made(catalog, "first")
    asked = catalog.rebuild(id_)
    assert catalog.rebuild(id_).rebuild == asked.rebuild
    every = catalog.rebuild_all()
    assert {(one.family.id, one.next) for one in every} == {(id_, "distill"), (other, "distill")}
    # Every message is lost. The student is looked at first, once for both.
    assert catalog.reap(0, 3) == (Due("distill", KEY),)
    catalog.student_whole(KEY, {}, made=False, looked=[WHOLE])
    assert set(catalog.open_rebuilds(KEY)) == {id_, other}
    catalog.add_requests(id_, [NewRequest(kind="build", what="*")])
    assert set(catalog.reap(0, 3)) == {Due("rebuild", other), Due("settle", id_)}
    subject = f"rebuild:{id_}"
    lease = catalog.lease_acquire(subject, "me", 30)
    assert lease is not None
    assert catalog.rebuild_waits(asked.rebuild, lease=lease)
    (request,) = catalog.requests(id_)
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_request(request.id, state)
    assert not catalog.rebuild_waits(asked.rebuild, lease=lease)
    assert Due("rebuild", id_) not in catalog.reap(0, 3)
    catalog.lease_release(lease)
    assert Due("rebuild", id_) in catalog.reap(60, 3)
    lease = catalog.lease_acquire(subject, "me", 30)
    assert lease is not None
    catalog.rebuild_over(asked.rebuild, Fact.YES, None, lease=lease)
    with pytest.raises(IllegalTransition):
        catalog.rebuild_over(asked.rebuild, Fact.FAILED, "late", lease=lease)
    catalog.lease_release(lease)
    (found,) = catalog.rebuilds(id_)
    assert (found.open, found.state, found.items) == (False, Fact.YES, {f"student:{KEY}": WHOLE})
    assert found.created <= (found.started or 0) <= (found.finished or 0)
    # The next one is another; it ends with a cancellation, and goes with its family.
    again = catalog.rebuild(id_)
    assert again.rebuild != asked.rebuild
    catalog.cancel(id_)
    assert catalog.rebuild_numbered(id_, again.rebuild).reason == "cancelled on request"
    with pytest.raises(NotFound, match="no rebuild"):
        catalog.rebuild_numbered(other, again.rebuild)
    catalog.delete_family(id_)
    assert catalog.rebuilds(id_) == ()


def test_a_student_that_is_made_again_is_mended_and_one_that_fails_is_not(catalog: Catalog) -> None:
    id_ = made(catalog)
    catalog.rebuild(id_)
    catalog.student_set_aside(KEY, {"name": "set-aside/k.1", "reason": "a bit"})
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.set_student_state(KEY, StudentState.FAILED, "disk full")
    (broken,) = catalog.rebuilds(id_)[0].items.values()
    assert (broken.state, broken.found) == ("broken", "a bit")
    assert catalog.reap(0, 3) == (Due("rebuild", id_),)
    catalog.rebuild(id_)
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_whole(KEY, {"a": "b"}, made=True)
    (mended,) = catalog.rebuilds(id_)[0].items.values()
    assert (mended.state, mended.found) == ("mended", "it was failed: disk full")


def test_what_a_rebuild_needs_may_be_away_but_not_for_ever(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1e9]
    monkeypatch.setattr(catalog.db, "now", lambda _: clock[0])
    id_ = made(catalog)
    number = catalog.rebuild(id_).rebuild
    catalog.student_whole(KEY, {}, made=False, looked=[WHOLE])
    lease = catalog.lease_acquire(f"rebuild:{id_}", "me", 30)
    assert lease is not None
    limits = Limits(3, 5.0)
    assert catalog.rebuild_later(number, "The Hub is away", limits, lease=lease)
    clock[0] += 6
    assert not catalog.rebuild_later(number, "The Hub is away", limits, lease=lease)
    # One that kills its worker again and again is given up.
    for _ in range(3):
        clock[0] += 4000
        catalog.reap(600, 3)
        assert catalog.lease_acquire(f"rebuild:{id_}", "one that dies", 30)
    clock[0] += 31
    catalog.reap(600, 3)
    (found,) = catalog.rebuilds(id_)
    assert (found.state, found.reason) == (Fact.FAILED, "its worker was lost 3 times")
