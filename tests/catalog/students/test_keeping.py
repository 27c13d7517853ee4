"""Students that are to be kept on the Hub: who pushes them, how often, and what becomes of that."""

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import Origin
from boomerang.catalog.setbacks import Limits, Setback
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
FILES = {"model.safetensors": "a" * 64}


@pytest.fixture
def family(catalog: Catalog) -> str:
    """A family that is settled, whose student was ready before it was to be kept."""
    made = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.student_whole(KEY, FILES, made=True)
    catalog.set_members(made, rungs(), patch_order=(1,), chosen="last")
    catalog.set_measuring(made, Fact.NO, "no texts")
    return made


def test_a_student_is_pushed_until_it_is_kept_and_again_where_it_is_not(
    catalog: Catalog, family: str
) -> None:
    given = new_student("g" * 32, origin=Origin.FOLDER, location="/x")
    catalog.create_family(new_family("g" * 32, order="first"), given)
    assert catalog.reap(0, 3) == (Due("measure", catalog.families(student="g" * 32)[0].id),)
    assert list(catalog.reap(60, 3, keep=True)) == [Due("keep", KEY)]
    assert catalog.reap(60, 3, keep=True) == ()
    catalog.expect_resend()
    assert Due("keep", KEY) in catalog.reap(60, 3, keep=True)
    # Of another student by now: what was pushed is not it.
    assert not catalog.student_kept(KEY, "us/x", "c" * 40, {"model.safetensors": "b" * 64})
    assert catalog.keeps_waiting(KEY)
    assert catalog.student_kept(KEY, "us/x", "c" * 40, FILES)
    assert not catalog.keeps_waiting(KEY)
    student = catalog.student(KEY)
    assert (student.hub_repo, student.hub_commit) == ("us/x", "c" * 40)
    assert catalog.reap(0, 3, keep=True)[1:] == ()
    catalog.student_unkept(KEY, "us/x", "it is gone")
    assert catalog.keeps_waiting(KEY)
    catalog.student_kept(KEY, "us/x", "d" * 40, FILES)
    # The same bytes, made again, are where they were; others are not.
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_whole(KEY, FILES, made=True, keep=True)
    assert (catalog.student(KEY).hub_commit, catalog.keeps_waiting(KEY)) == ("d" * 40, False)
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_whole(KEY, {"model.safetensors": "b" * 64}, made=True, keep=True)
    assert (catalog.student(KEY).hub_commit, catalog.keeps_waiting(KEY)) == (None, True)
    assert catalog.student(KEY).hub_repo == "us/x"


def test_a_push_that_kills_its_worker_is_given_up_and_the_student_stays(
    catalog: Catalog, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1e9]
    monkeypatch.setattr(catalog.db, "now", lambda _: clock[0])
    waits = []
    for _ in range(3):
        assert catalog.lease_acquire(f"keep:{KEY}", "one that dies", 30) is not None
        assert catalog.reap(600, 3, keep=True) == ()
        clock[0] += 31
        lost = clock[0]
        due = catalog.reap(600, 3, keep=True)
        while not due and clock[0] < lost + 10:
            clock[0] += 0.5
            due = catalog.reap(600, 3, keep=True)
        waits.append(clock[0] - lost)
    assert waits == [1, 2, 10]
    student = catalog.student(KEY)
    assert student.state is StudentState.READY
    assert student.reason == "not kept on the Hub: its worker was lost 3 times"
    assert not catalog.keeps_waiting(KEY)
    # A rebuild begins anew.
    catalog.student_whole(KEY, FILES, made=False, keep=True)
    assert catalog.keeps_waiting(KEY)
    assert catalog.student_not_kept(KEY, "The Hub is away.", (Setback.OUTSIDE, Limits(3, 60)))
    assert "The Hub is away; again in 1 s" in str(catalog.student(KEY).reason)
    clock[0] += 61
    assert not catalog.student_not_kept(KEY, "The Hub is away.", (Setback.OUTSIDE, Limits(3, 60)))
    assert catalog.reap(0, 3, keep=True)[1:] == ()
