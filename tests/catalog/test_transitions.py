"""The states as a table: what is no legal change is refused, whoever asks for it."""

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, Keying, LostLease, StudentState
from boomerang.catalog.transitions import (
    FACTS,
    KEYING,
    MEASURING,
    REQUEST,
    STUDENT,
    Actor,
    IllegalTransition,
    Measuring,
    Moves,
    check,
)
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
TABLES: dict[str, tuple[Moves, set[str]]] = {
    "keying": (KEYING, {str(state) for state in Keying}),
    "student": (STUDENT, {str(state) for state in StudentState}),
    "measuring": (MEASURING, {str(state) for state in Measuring}),
    "request": (REQUEST, {str(state) for state in Fact}),
    **{name: (moves, {str(state) for state in Fact}) for name, moves in FACTS.items()},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_known_states_and_what_is_under_way_can_end(name: str) -> None:
    moves, states = TABLES[name]
    assert set(moves) <= states | {""}
    assert all(set(after) <= states and all(after.values()) for after in moves.values())
    states_under_way = {"hashing", "queued", "distilling", "waiting", "running"}
    for state in set(moves) & states_under_way:
        # Whoever works on it may die, so that a worker alone is not enough.
        assert set(moves[state]) - {state}, state
        if state in ("hashing", "distilling", "running") and name != "request":
            assert any(Actor.REAPER in by for by in moves[state].values()), state


@pytest.mark.parametrize("by", Actor)
@pytest.mark.parametrize("name", TABLES)
def test_nobody_makes_a_change_that_is_not_there(name: str, by: Actor) -> None:
    moves, states = TABLES[name]
    for before in states | {""}:
        for after in states:
            if by in moves.get(before, {}).get(after, ()):
                check(moves, name, before, after, by)
            else:
                with pytest.raises(IllegalTransition) as caught:
                    check(moves, name, before, after, by)
                assert caught.value.value == after


def test_only_a_person_ends_what_is_ready(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state(KEY, StudentState.READY)
    before = catalog.last_event()
    for state in (StudentState.QUEUED, StudentState.CANCELLED):
        with pytest.raises(IllegalTransition):
            catalog.set_student_state(KEY, state)
    catalog.student_resend(KEY, "the worker was stopped")
    assert catalog.last_event() == before
    # What is cancelled is the measuring, which is all that is left to be done.
    catalog.cancel(family)
    assert catalog.student(KEY).state is StudentState.READY
    assert catalog.family(family).measuring_reason == "cancelled on request"


def test_a_cancellation_that_came_too_late_ends_nothing_later(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    lease = catalog.lease_acquire(f"student:{KEY}", "a", 30)
    catalog.set_student_state(KEY, StudentState.DISTILLING, lease=lease)
    assert catalog.cancel(family).cancel
    catalog.set_student_state(KEY, StudentState.READY, lease=lease)
    assert not catalog.student(KEY).cancel


def test_what_a_late_writer_says_is_refused_like_a_lost_lease(catalog: Catalog) -> None:
    request = NewRequest(kind="build", what="*")
    family = catalog.create_family(new_family(), new_student(), rungs(), [request]).family.id
    (request_id,) = (request.id for request in catalog.requests(family))
    catalog.set_request(request_id, Fact.YES)
    catalog.cancel(family)
    before = catalog.last_event()
    catalog.set_request(request_id, Fact.YES)
    for write in (
        lambda: catalog.set_student_state(KEY, StudentState.DISTILLING),
        lambda: catalog.set_student_state(KEY, StudentState.READY),
        lambda: catalog.set_request(request_id, Fact.FAILED, "too late"),
        lambda: catalog.set_fact(family, 0, "published", Fact.YES, repo="a/b"),
        lambda: catalog.set_measuring(family, Fact.YES),
    ):
        with pytest.raises(LostLease):
            write()
    assert catalog.last_event() == before


def test_cancelling_one_family_leaves_those_that_share_its_student(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student(), rungs()).family.id
    second = catalog.create_family(new_family(order="first"), new_student(), rungs()).family.id
    for _ in range(2):
        assert catalog.cancel(first).state is StudentState.QUEUED
    assert catalog.family(first).measuring_reason == "cancelled on request"
    catalog.student_whole(KEY, {}, made=True)
    assert catalog.reap(0, 3) == (Due("measure", second),)
    # Asked for again, it is measured like any other.
    assert catalog.create_family(new_family(order="last"), new_student()).next == "measure"
    assert catalog.family(first).cancel is None
    assert {due.subject for due in catalog.reap(0, 3)} == {first, second}


def test_the_last_family_that_is_cancelled_ends_the_student(catalog: Catalog) -> None:
    families = [
        catalog.create_family(new_family(order=order), new_student(), rungs()).family.id
        for order in ("last", "first")
    ]
    assert catalog.cancel(families[0]).state is StudentState.QUEUED
    assert catalog.cancel(families[1]).state is StudentState.CANCELLED
    made = catalog.create_family(new_family(order="last"), new_student())
    assert (made.next, made.student.state) == ("distill", StudentState.QUEUED)
    catalog.student_whole(KEY, {}, made=True)
    # Nobody asked for the other one again.
    due = catalog.reap(0, 3)
    assert due == (Due("measure", families[0]),)
    assert catalog.family(families[1]).measuring_reason == "cancelled on request"
