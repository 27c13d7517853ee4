"""A bell is rung for one, and what is fairest is taken, with its lease, by one worker alone."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.keys.turns import WAITS, Turn
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.allowances import UNLIMITED, Allowance
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.setbacks import Limits, Setback
from boomerang.catalog.tables import FamilyRow, KeyRow, LeaseRow, StudentRow
from tests.catalog.conftest import new_family, new_student, rungs

PATIENCE = 60.0


def queue(catalog: Catalog, owner: str | None, *names: str) -> list[str]:
    """Students of a key that wait, in this order."""
    keys = [name * 32 for name in names]
    for key in keys:
        catalog.create_family(new_family(key), new_student(key), rungs())
        with catalog.db.write() as session:
            session.execute(update(StudentRow).where(StudentRow.key == key).values(owner=owner))
    return keys


def ring(catalog: Catalog, named: str, allowance: Allowance = UNLIMITED) -> Turn:
    return catalog.student_turn(named, "worker", 30.0, allowance)


def end(catalog: Catalog, turn: Turn, seconds: float = 10.0) -> None:
    """What a worker does once it has made the student it took."""
    assert turn.lease is not None
    catalog.set_student_state(turn.subject, StudentState.DISTILLING, lease=turn.lease)
    catalog.set_student_state(turn.subject, StudentState.READY, lease=turn.lease)
    catalog.charge_device(turn.owner, seconds, over=True)
    catalog.lease_release(turn.lease)


def test_a_key_that_asks_later_is_not_behind_all_that_another_asked_for(catalog: Catalog) -> None:
    mine = queue(catalog, "alice", *"abc")
    first = ring(catalog, mine[0])
    assert first.subject == mine[0]
    (other,) = queue(catalog, "bob", "z")
    end(catalog, first)
    order = []
    for bell in (*mine[1:], other):
        turn = ring(catalog, bell)
        order.append(turn.subject)
        end(catalog, turn)
    assert order == [other, *mine[1:]]
    assert ring(catalog, other).lease is not None, "it is ready: whoever is told looks at it"


def test_a_bell_takes_what_waits_for_its_time_for_nobody_else(catalog: Catalog) -> None:
    """N bells for N students: one that is cancelled or to be tried later is passed over."""
    late, gone, last = queue(catalog, "alice", *"abc")
    turn = ring(catalog, late)
    limits = Limits(5, 3600.0)
    catalog.student_again(late, Setback.OUTSIDE, "the Hub is away", limits, lease=turn.lease)
    assert turn.lease is not None
    catalog.lease_release(turn.lease)
    catalog.cancel(catalog.families(student=gone)[0].id)
    assert ring(catalog, gone).subject == last
    nothing = ring(catalog, late)
    assert (nothing.subject, nothing.lease, nothing.said) == (late, None, "waits")


def test_of_many_workers_at_once_each_takes_another(catalog: Catalog) -> None:
    keys = queue(catalog, "alice", *"abcd") + queue(catalog, "bob", *"wxyz")
    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(lambda key: ring(catalog, key), keys))
    assert {turn.subject for turn in turns} == set(keys)
    assert all(turn.lease is not None for turn in turns)


def test_a_key_has_no_more_at_once_than_it_may(catalog: Catalog) -> None:
    keys = queue(catalog, "alice", *"abc")
    may = Allowance(running_at_once=1)
    catalog.reap(PATIENCE, 5, allowance=may)
    first = ring(catalog, keys[0], may)
    second = ring(catalog, keys[1], may)
    assert (second.lease, second.said) == (None, "waits")
    reason = catalog.student(keys[1]).reason
    assert reason == f"{WAITS}its key may have 1 distilled at once, and has"
    # Nobody is told of it in vain, and somebody as soon as there is room: of one, not of both.
    assert catalog.reap(PATIENCE, 5, allowance=may) == ()
    (other,) = queue(catalog, "bob", "z")
    assert ring(catalog, keys[2], may).subject == other
    end(catalog, first)
    rung = catalog.reap(PATIENCE, 5, allowance=may)
    assert [one for one in rung if one.job == "distill"] == [Due("distill", keys[1])]
    taken = ring(catalog, keys[1], may)
    assert taken.subject == keys[1]
    assert catalog.student(keys[1]).reason is None


def test_those_that_wait_for_their_key_are_told_so_once(catalog: Catalog) -> None:
    """With each that ends one begins: the others wait as before, and no event says otherwise."""
    keys, may = queue(catalog, "alice", *"abcdef"), Allowance(running_at_once=1)
    turn = ring(catalog, keys[0], may)
    ring(catalog, keys[1], may)
    before = catalog.last_event()
    for key in keys[1:]:
        end(catalog, turn)
        turn = ring(catalog, key, may)
        assert turn.subject == key
        assert ring(catalog, keys[-1], may).lease is None
    told = [one for one in catalog.events_after(before) if one.kind == "student"]
    waits = [one for one in told if str(one.payload.get("reason")).startswith(WAITS)]
    assert (len(told), waits) == (3 * len(keys[1:]), []), "two states, and that it waits no more"
    assert [catalog.student(key).reason for key in keys] == [None] * len(keys)


@pytest.mark.parametrize(("scope", "quotas", "many"), [
    ("build", None, 1), ("build", {"running_at_once": 2}, 2), ("build", {"running_at_once": 0}, 3),
    ("admin", None, 3), ("admin", {"running_at_once": 2}, 2),
])  # fmt: skip
def test_a_key_may_have_quotas_of_its_own(
    catalog: Catalog, scope: str, quotas: dict[str, int] | None, many: int
) -> None:
    with catalog.db.write() as session:
        session.add(
            KeyRow(id="alice", name="a", digest="d", scope=scope, quotas=quotas, created=0.0)
        )
    keys = queue(catalog, "alice", *"abc")
    turns = [ring(catalog, key, Allowance(running_at_once=1)) for key in keys]
    assert sum(turn.lease is not None for turn in turns) == many


def test_the_hours_of_a_day_are_spent(catalog: Catalog) -> None:
    one, two = queue(catalog, "alice", *"ab")
    may = Allowance(device_hours_per_day=1)
    end(catalog, ring(catalog, one, may), seconds=3600.0)
    assert ring(catalog, two, may).lease is None
    assert "1 hours of devices of today" in str(catalog.student(two).reason)
    measured = catalog.families(student=one)[0].id
    assert catalog.reap(0.0, 5, allowance=may) == (Due("measure", measured),)
    assert ring(catalog, two, Allowance(device_hours_per_day=2)).lease is not None


def test_families_are_measured_in_turn_too(catalog: Catalog) -> None:
    families = []
    for owner, names in (("alice", "abc"), ("bob", "z")):
        for key in queue(catalog, owner, *names):
            catalog.set_student_state(key, StudentState.READY)
            families += [family.id for family in catalog.families(student=key)]
    first = catalog.family_turn(families[0], "worker", 30.0)
    assert (first.subject, first.owner) == (families[0], "alice")
    catalog.charge_device("alice", 5.0, over=True)
    assert catalog.family_turn(families[1], "worker", 30.0).subject == families[3]
    catalog.cancel(families[2])
    assert catalog.family_turn(families[2], "worker", 30.0).subject == families[1]


def test_what_killed_its_worker_is_begun_again_by_no_bell_of_others(catalog: Catalog) -> None:
    """A reaper counts the loss first, however many bells are heard before."""
    poison, *others = queue(catalog, "alice", *"abc")
    assert ring(catalog, poison).subject == poison
    lose(catalog, "student:" + poison)
    assert [ring(catalog, other).subject for other in others] == others
    for key in (poison, *others):
        catalog.set_student_state(key, StudentState.READY)
    poison, *others = (catalog.families(student=key)[0].id for key in (poison, *others))
    assert catalog.family_turn(poison, "worker", 30.0).subject == poison
    lose(catalog, "family:" + poison)
    assert [catalog.family_turn(other, "worker", 30.0).subject for other in others] == others
    catalog.reap(PATIENCE, 5)
    with catalog.db.read() as session:
        assert session.get_one(FamilyRow, poison).attempts == 1


def lose(catalog: Catalog, subject: str) -> None:
    with catalog.db.write() as session:
        session.execute(update(LeaseRow).where(LeaseRow.subject == subject).values(expires=1.0))
