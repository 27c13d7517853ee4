"""Families: one for equal requests, kept, rebuilt, cancelled, deleted."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, LostLease, StudentState
from boomerang.catalog.records.students import Origin
from boomerang.errors import FamilyNotFound, NotFound, SizeNotFound
from tests.catalog.conftest import new_family, new_student, rungs


def ask(url: str) -> tuple[str, bool, str | None]:
    catalog = Catalog(url)
    made = catalog.create_family(new_family(), new_student(), rungs())
    catalog.close()
    return made.family.id, made.created, made.next


def test_of_a_hundred_threads_one_makes_it_and_one_sends_it(catalog: Catalog) -> None:
    def one(_: int) -> tuple[str, bool, str | None]:
        made = catalog.create_family(new_family(), new_student(), rungs())
        return made.family.id, made.created, made.next

    with ThreadPoolExecutor(100) as pool:
        found = list(pool.map(one, range(100)))
    assert len({family for family, _, _ in found}) == 1
    assert sum(created for _, created, _ in found) == 1
    assert [n for _, _, n in found if n is not None] == ["distill"]
    assert len(catalog.students()) == len(catalog.families()) == 1
    assert [m.size for m in catalog.members(found[0][0])] == ["1.00K", "2.00K"]


def test_of_several_processes_on_a_new_database_one_makes_it(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(4), spawn.Queue()
    # Each opens (and creates) the database at the same time as the others.
    workers = [spawn.Process(target=_first, args=(url, barrier, results)) for _ in range(4)]
    for process in workers:
        process.start()
    found = [results.get(timeout=60) for _ in workers]
    for process in workers:
        process.join()
        process.close()
    results.close()
    results.join_thread()
    assert sum(created for _, created, _ in found) == 1
    assert [n for _, _, n in found if n is not None] == ["distill"]


def _first(url: str, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    results.put(ask(url))  # type: ignore[attr-defined]


def test_two_orders_share_one_student(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student())
    second = catalog.create_family(new_family(order="first"), new_student())
    assert (first.next, second.next) == ("distill", None)
    assert first.family.id != second.family.id
    assert {f.id for f in catalog.families(student="k" * 32)} == {first.family.id, second.family.id}
    assert len(catalog.families(teacher="org/Teacher-4B")) == 2


def test_a_family_of_a_ready_student_is_measured_at_once(catalog: Catalog) -> None:
    catalog.create_family(new_family(order="last"), new_student())
    catalog.set_student_state("k" * 32, StudentState.READY)
    assert catalog.create_family(new_family(order="first"), new_student()).next == "measure"
    assert catalog.create_family(new_family(order="first"), new_student()).next is None


def test_a_given_folder_is_ready_at_once(catalog: Catalog) -> None:
    given = new_student(origin=Origin.FOLDER, location="/models/student")
    made = catalog.create_family(new_family(), given)
    assert (made.student.state, made.next) == (StudentState.READY, "measure")


@pytest.mark.parametrize("state", [StudentState.FAILED, StudentState.CANCELLED])
def test_asking_again_after_a_failure_tries_again(catalog: Catalog, state: StudentState) -> None:
    family = catalog.create_family(new_family(), new_student()).family.id
    if state is StudentState.CANCELLED:
        catalog.cancel(family)
    else:
        catalog.set_student_state("k" * 32, state, "disk full")
    made = catalog.create_family(new_family(), new_student())
    assert (made.created, made.next) == (False, "distill")
    assert (made.student.state, made.student.cancel) == (StudentState.QUEUED, False)


def test_forced_rebuild_stands_beside_the_old(catalog: Catalog) -> None:
    old = catalog.create_family(new_family(), new_student(), rungs()).family
    catalog.set_student_state("k" * 32, StudentState.READY)
    made = catalog.rebuild(old.id, force=True)
    assert made.family.id != old.id
    assert made.next == "distill"
    assert (made.student.generation, made.student.key != "k" * 32) == (2, True)
    assert made.student.recipe == {"name": "smoke", "steps": 10}
    assert catalog.student("k" * 32).state is StudentState.READY
    fresh, before = catalog.members(made.family.id), catalog.members(old.id)
    assert [m.size for m in fresh] == [m.size for m in before]
    assert not {m.digest for m in fresh} & {m.digest for m in before}
    assert catalog.rebuild(old.id, force=True).student.generation == 3


def test_a_forced_rebuild_takes_no_cancellation_of_the_old_back(catalog: Catalog) -> None:
    old = catalog.create_family(new_family(), new_student(), rungs()).family
    assert catalog.lease_acquire(f"student:{'k' * 32}", "a worker", 60) is not None
    catalog.cancel(old.id)
    assert catalog.student("k" * 32).cancel
    assert catalog.rebuild(old.id, force=True).next == "distill"
    assert catalog.student("k" * 32).cancel
    assert catalog.family(old.id).cancel


def test_rebuild_without_force_changes_nothing(catalog: Catalog) -> None:
    old = catalog.create_family(new_family(), new_student()).family
    catalog.set_student_state("k" * 32, StudentState.READY)
    made = catalog.rebuild(old.id)
    assert (made.family.id, made.next, made.student.state) == (old.id, "distill", "ready")
    assert [e.kind for e in catalog.events_after(made.event, old.id)] == ["family", "rebuild"]


def test_cancel_is_immediate_when_nobody_works_and_a_flag_otherwise(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student()).family.id
    lease = catalog.lease_acquire("student:" + "k" * 32, "a", 30)
    held = catalog.cancel(family)
    assert (held.state, held.cancel) == (StudentState.QUEUED, True)
    assert lease is not None
    catalog.lease_release(lease)
    assert catalog.cancel(family).state is StudentState.CANCELLED


def test_delete_keeps_a_shared_student_and_tells_which_members_are_left_over(
    catalog: Catalog,
) -> None:
    first = catalog.create_family(new_family(order="last"), new_student(), rungs()).family.id
    second = catalog.create_family(new_family(order="first"), new_student(), rungs()[1:]).family.id
    assert catalog.delete_family(first) == ("d0",)
    assert catalog.student("k" * 32).state is StudentState.QUEUED
    assert catalog.delete_family(second) == ("d1",)
    assert catalog.student("k" * 32).state is StudentState.CANCELLED
    with pytest.raises(FamilyNotFound):
        catalog.family(first)


def test_what_does_not_exist_is_refused(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student()).family.id
    for call in (catalog.members, catalog.cancel, catalog.delete_family, catalog.rebuild):
        with pytest.raises(FamilyNotFound) as caught:
            call("nothing")
        assert caught.value.value == "nothing"
    with pytest.raises(SizeNotFound):
        catalog.member(family, 99)
    with pytest.raises(NotFound):
        catalog.student("nobody")


def test_a_cancelled_family_can_be_cancelled_again(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student()).family.id
    catalog.create_family(new_family(order="first"), new_student())
    for _ in range(2):
        assert catalog.cancel(first).state is StudentState.QUEUED
    assert catalog.family(first).measuring is Fact.FAILED


def test_what_failed_begins_anew_and_nothing_else(catalog: Catalog) -> None:
    asked = [NewRequest(kind="build", what="2.00K"),
             NewRequest(kind="publish", what="2.00K", options={"namespace": "me"}),
             NewRequest(kind="publish", what="*", options={"credential": "c"})]  # fmt: skip
    family = catalog.create_family(new_family(), new_student(), rungs(), asked).family.id

    def states() -> list[str]:
        return [request.state for request in catalog.requests(family)]

    assert catalog.retry(family, publishing=True).next is None
    catalog.cancel(family)
    assert states() == ["failed"] * 3
    begun = catalog.retry(family, publishing=False)
    assert (begun.student.state, begun.next, states()) == (
        "queued",
        "distill",
        ["no", "failed", "failed"],
    )
    # A requester's token is for who sends it.
    assert catalog.retry(family, publishing=True).next is None
    assert states() == ["no", "no", "failed"]
    # So it is with a cancellation that no worker has heard of yet.
    lease = catalog.lease_acquire("student:" + "k" * 32, "a", 30)
    assert catalog.cancel(family).cancel
    assert not catalog.retry(family, publishing=True).student.cancel
    assert not catalog.family(family).cancel
    assert lease is not None
    catalog.lease_release(lease)
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_measuring(family, Fact.RUNNING)
    catalog.set_measuring(family, Fact.FAILED, "no text")
    begun = catalog.retry(family, publishing=True)
    assert (begun.next, begun.family.measuring, begun.family.settled) == ("measure", "no", False)
    assert catalog.retry(family, publishing=True).next is None


def test_a_family_that_is_ready_is_measured_and_published_for_who_asks(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    assert catalog.measure(family, {"piqa": 9}).next is None
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_measuring(family, Fact.NO)
    assert catalog.measure(family, {}).next == "measure"
    catalog.set_measuring(family, Fact.RUNNING)
    catalog.set_measuring(family, Fact.YES)
    lacking = catalog.measure(family, {"arc_easy": None})
    assert (lacking.next, lacking.family.tasks) == ("measure", {"piqa": 9, "arc_easy": None})
    asked = NewRequest(kind="publish", what="*", options={"credential": "c"})
    token = Credential(id="c", sealed="sealed")
    catalog.add_requests(family, [asked], credential=token)
    assert catalog.credential("c") == "sealed"


def test_what_was_asked_of_a_cancelled_family_is_done_for_who_asks_for_it_again(
    catalog: Catalog,
) -> None:
    publish = NewRequest(kind="publish", what="2.00K", options={"namespace": "me"})
    family = catalog.create_family(new_family(), new_student(), rungs(), [publish]).family.id
    catalog.cancel(family)
    (request,) = catalog.requests(family)
    assert (request.state, request.reason) == (Fact.FAILED, "cancelled on request")
    catalog.rebuild(family)
    catalog.create_family(new_family(), new_student(), rungs())
    assert catalog.requests(family) == (request,)
    catalog.create_family(new_family(), new_student(), rungs(), [publish])
    assert catalog.requests(family)[0].state is Fact.NO
    # What is ready cannot be cancelled; what was to be done with it can.
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_measuring(family, Fact.NO)
    catalog.cancel(family)
    assert not catalog.is_open(request.id)
    assert catalog.family(family).cancel is None


def test_whoever_asks_after_a_cancellation_is_not_cancelled_with_it(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student()).family.id
    lease = catalog.lease_acquire("student:" + "k" * 32, "a", 30)
    catalog.set_student_state("k" * 32, StudentState.DISTILLING, lease=lease)
    assert catalog.cancel(family).cancel
    catalog.create_family(new_family(), new_student())
    assert not catalog.student("k" * 32).cancel
    # Its worker had heard of the cancellation already.
    now = catalog.set_student_state("k" * 32, StudentState.CANCELLED, "cancelled", lease=lease)
    assert (now.state, now.reason) == (StudentState.QUEUED, "asked for again")
    assert [due.subject for due in catalog.reap(60, 3)] == []
    assert lease is not None
    catalog.lease_release(lease)
    assert [due.subject for due in catalog.reap(60, 3)] == ["k" * 32]


def test_who_works_on_a_student_that_was_made_again_has_lost_it(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state("k" * 32, StudentState.DISTILLING)
    catalog.student_whole("k" * 32, {"w": "1"}, made=True)
    measuring = catalog.lease_acquire(f"family:{family}", "a", 30)
    building = catalog.lease_acquire("build:d0", "b", 30)
    catalog.set_measuring(family, Fact.RUNNING, lease=measuring)
    catalog.set_fact(family, 1, "measured", Fact.YES, perplexity=2.0, lease=measuring)
    catalog.set_fact(family, 1, "built", Fact.YES, made_of="1")
    catalog.set_fact(family, 0, "built", Fact.RUNNING, lease=building)
    catalog.set_student_state("k" * 32, StudentState.DISTILLING)
    catalog.student_whole("k" * 32, {"w": "2"}, made=True)
    # Nobody died: not even with a single attempt is anything given up.
    assert catalog.reap(60, 1) == (Due("measure", family),)
    assert catalog.member(family, 0).built is Fact.NO
    one = catalog.member(family, 1)
    assert (one.built, one.measured, one.perplexity) == (Fact.NO, Fact.NO, None)
    with pytest.raises(LostLease):
        catalog.set_fact(family, 0, "built", Fact.YES, made_of="1", lease=building)
    with pytest.raises(LostLease):
        catalog.set_fact(family, 0, "measured", Fact.YES, perplexity=3.0, lease=measuring)
