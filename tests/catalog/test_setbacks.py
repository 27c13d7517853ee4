"""How long is waited after a setback, and when it is enough."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.setbacks import Limits, Setback, achieved, again
from tests.catalog.conftest import new_family, new_student, result, rungs

KEY = "k" * 32
LIMITS = Limits(attempts=5, seconds=3600)


def row() -> Any:
    return SimpleNamespace(attempts=0, away_since=None, waited=None, due=None, sent=0.0, sends=0)


def test_what_dies_waits_twice_as_long_each_time_until_it_is_enough() -> None:
    tried = row()
    assert [again(tried, Setback.DIED, 0.0, LIMITS) for _ in range(5)] == [1, 2, 4, 8, None]
    achieved(tried)
    assert again(tried, Setback.DIED, 0.0, LIMITS) == 1


def test_an_outage_is_looked_at_after_as_long_as_it_lasted_for_an_hour_in_all() -> None:
    tried, now, waits = row(), 1000.0, []
    while (wait := again(tried, Setback.OUTSIDE, now, LIMITS)) is not None:
        waits.append(wait)
        now += wait
    assert waits[:6] == [1, 1, 2, 4, 8, 16]
    assert max(waits) == 300
    assert 3600 <= now - 1000 < 3600 + 300


@pytest.mark.parametrize("between", [None, Setback.DIED])
def test_after_two_hours_of_work_an_outage_is_a_new_one(between: Setback | None) -> None:
    tried = row()
    assert again(tried, Setback.OUTSIDE, 0.0, LIMITS) == 1
    tried.due = None
    if between is not None:
        assert again(tried, between, 2 * 3600.0, LIMITS) == 1
        tried.due = None
    assert again(tried, Setback.OUTSIDE, 2 * 3600.0 + 2, LIMITS) == 1


def test_an_attempt_that_takes_minutes_to_fail_makes_no_new_outage() -> None:
    tried, now, attempts = row(), 0.0, 0
    while (wait := again(tried, Setback.OUTSIDE, now, LIMITS)) is not None:
        now, attempts = now + wait + 300, attempts + 1
    assert attempts < 15
    assert now < 3600 + 600


def test_work_that_finds_something_away_after_hours_each_time_comes_to_an_end() -> None:
    tried, now, attempts = row(), 0.0, 0
    while (wait := again(tried, Setback.OUTSIDE, now, LIMITS)) is not None:
        now, attempts = now + wait + 700, attempts + 1
        assert attempts <= LIMITS.attempts
    assert tried.parked


@given(
    events=st.lists(st.tuples(st.sampled_from([*Setback, None]), st.floats(0, 1000)), max_size=40)
)
def test_a_wait_is_bounded_and_never_in_the_past_and_progress_forgets_all(
    events: list[tuple[Setback | None, float]],
) -> None:
    tried, now = row(), 0.0
    for kind, passed in events:
        now += passed
        if kind is None:
            achieved(tried)
            assert (tried.attempts, tried.away_since, tried.due) == (0, None, None)
            continue
        wait = again(tried, kind, now, LIMITS)
        if wait is None:
            assert tried.due is None
            assert tried.attempts >= 5 or now - tried.away_since >= 3600
        else:
            assert 1 <= wait <= 300
            assert tried.due == now + wait


def test_the_result_of_a_task_makes_good_any_number_of_kills_and_the_same_again_does_not(
    catalog: Catalog,
) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state(KEY, StudentState.READY)

    def killed_after(**said: object) -> bool:
        catalog.set_measuring(family, Fact.RUNNING)
        catalog.set_task(family, 0, result(**said))  # type: ignore[arg-type]
        return catalog.measure_again(family, Setback.DIED, "killed", Limits(3, 60))

    for name in ("piqa", "arc_easy", "lambada", "boolq"):
        assert killed_after(name=name), name
    assert killed_after(name="piqa", limit=5)
    assert killed_after(name="piqa", limit=5)
    assert not killed_after(name="hellaswag", failed="no data")


def fails_after(catalog: Catalog, step: int) -> bool:
    """Whether a student that is killed three times in a row, at a checkpoint each, is given up."""
    for more in range(3):
        catalog.set_student_state(KEY, StudentState.DISTILLING)
        catalog.student_progress(KEY, {"step": step + more})
        catalog.student_saved(KEY, {"step": step + more})
        if catalog.student_again(KEY, Setback.DIED, "killed", Limits(2, 60)).state.over:
            return True
    return False


def begun_anew(catalog: Catalog, how: str) -> None:
    if how == "asked for again":
        catalog.set_student_state(KEY, StudentState.FAILED, "bad")
        catalog.create_family(new_family(), new_student(), rungs())
    elif how == "set aside":
        catalog.student_whole(KEY, {"w": "1"}, made=True)
        catalog.set_student_state(KEY, StudentState.DISTILLING)
        catalog.student_set_aside(KEY, {"name": "set-aside/k.1", "reason": "a bit"})
    else:
        catalog.student_progress(KEY, {"step": 0})


@pytest.mark.parametrize("how", ["asked for again", "set aside", "its run folder is gone"])
def test_a_run_that_begins_anew_is_not_compared_with_the_one_before(
    catalog: Catalog, how: str
) -> None:
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_progress(KEY, {"step": 900})
    catalog.student_saved(KEY, {"step": 900})
    assert catalog.student_out_of_memory(KEY, 8) is None
    begun_anew(catalog, how)
    catalog.student_progress(KEY, {"step": 50})
    assert catalog.student_out_of_memory(KEY, 8) is None
    catalog.student_progress(KEY, {"step": 0})
    assert catalog.student_out_of_memory(KEY, 8) == 4
    assert not fails_after(catalog, 100)
