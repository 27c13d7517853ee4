"""Families: one for equal requests, kept, rebuilt, cancelled, deleted."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.leases import LostLease
from boomerang.catalog.records.publications import Publication
from boomerang.catalog.records.requests import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import Origin
from boomerang.errors import BadRequest, FamilyNotFound, NotFound, SizeNotFound
from tests.catalog.conftest import new_family, new_student, result, rungs


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
    assert {f.id for f in catalog.families_of_student("k" * 32)} == {
        first.family.id,
        second.family.id,
    }
    assert len(catalog.families_of_teacher("org/Teacher-4B")) == 2


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


def test_wants_are_kept_once_and_opened_again_after_a_failure(catalog: Catalog) -> None:
    publish = NewRequest(kind="publish", what="2.00K", options={"namespace": "me"})
    family = catalog.create_family(new_family(), new_student(), requests=[publish]).family.id
    catalog.create_family(new_family(), new_student(), requests=[publish])
    (request,) = catalog.requests(family)
    assert (request.kind, request.what, request.state) == ("publish", "2.00K", Fact.NO)
    catalog.set_request(request.id, Fact.FAILED, "no such namespace")
    catalog.add_requests(family, [publish])
    assert [(w.id, w.state) for w in catalog.requests(family)] == [(request.id, Fact.NO)]
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_members(family, rungs(), patch_order=(0,), chosen="last")
    asked = catalog.add_requests(family, [NewRequest(kind="build", what="*")])
    assert asked.next == "settle"


def test_a_request_that_was_done_is_opened_again_where_its_members_are_not_there(
    catalog: Catalog,
) -> None:
    request = NewRequest(kind="publish", what="2.00K", options={"namespace": "me"})
    family = catalog.create_family(new_family(), new_student(), rungs(), [request]).family.id
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_members(family, rungs(), patch_order=(0,), chosen="last")
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_fact(family, 1, "published", state, repo="me/x", commit="9" * 40)
    catalog.set_request(catalog.requests(family)[0].id, Fact.YES)
    assert catalog.add_requests(family, [request]).next is None
    # As older versions left it: the member is gone, the request is done.
    catalog.set_fact(family, 1, "published", Fact.FAILED, "gone")
    assert catalog.add_requests(family, [request]).next == "settle"
    assert catalog.requests(family)[0].state is Fact.NO


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
    assert [e.kind for e in catalog.events_after(made.event, old.id)] == ["family"]


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


def test_tasks_asked_for_later_are_measured_once(catalog: Catalog) -> None:
    def ask(**tasks: int | None) -> str | None:
        return catalog.create_family(new_family(tasks=tasks), new_student(), rungs()).next

    made = catalog.create_family(new_family(), new_student(), rungs()).family
    assert made.tasks is None
    assert ask(piqa=None) is None
    assert catalog.family(made.id).tasks == {"piqa": None}
    catalog.set_student_state(new_student().key, StudentState.READY)
    # While they are being measured the worker will see what was added; after that a job is sent.
    catalog.set_measuring(made.id, Fact.RUNNING)
    assert ask(arc_easy=10) is None
    for k in (0, 1):
        catalog.set_task(made.id, k, result("piqa"))
        catalog.set_task(made.id, k, result("arc_easy", 10))
    catalog.set_measuring(made.id, Fact.YES)
    assert ask(arc_easy=10, piqa=None) is None
    assert ask(arc_easy=20) == "measure"
    assert (catalog.family(made.id).measuring, ask(arc_easy=20)) == (Fact.NO, None)
    catalog.set_measuring(made.id, Fact.RUNNING)
    for k in (0, 1):
        catalog.set_task(made.id, k, result("arc_easy", 20, failed="no data" if k else None))
    catalog.set_measuring(made.id, Fact.YES)
    # One that failed is tried again where it is asked for again, and not for something else.
    assert catalog.create_family(new_family(), new_student(), rungs()).next is None
    assert ask(piqa=None) == "measure"


def test_results_of_tasks_are_those_of_the_composition(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student(), rungs()).family.id
    other = catalog.create_family(new_family(order="first"), new_student(), rungs()).family.id
    catalog.set_task(first, 1, result("piqa"))
    catalog.set_task(other, 1, result("piqa", failed="no data", metrics=[]))
    catalog.set_task(other, 0, result("arc_easy", 3))
    assert catalog.task_results(new_student().key) == {
        "bbb+ttt": {"piqa": result("piqa")}, "sss+sss": {"arc_easy": result("arc_easy", 3)},
    }  # fmt: skip
    assert catalog.task_results("nobody") == {}
    # A ladder that is settled anew keeps them.
    catalog.set_members(first, rungs(), patch_order=(0,), chosen="last")
    assert catalog.member(first, 1).tasks == {"piqa": result("piqa")}
    said = catalog.events_after(0, first)
    assert [(e.payload["size"], e.payload["name"]) for e in said if e.kind == "task"] == [
        ("2.00K", "piqa")
    ]


LATER = {
    1: ("members.generation", "members.flags"),
    2: ("members.tasks", "families.tasks"),
    3: tuple(
        f"{table}.{name}"
        for table, names in (
            ("students", "away_since due saved micro_batch killed_at verify files"),
            ("families", "away_since due cancel"),
            ("requests", "away_since due"),
        )
        for name in names.split()
    ),
    4: (),
    5: ("members.made_of",),
    6: (
        *(
            f"{name}.waited"
            for name in ("students", "families", "requests", "tries", "provisional")
        ),
        "repositories.made_of",
    ),
}


@pytest.mark.parametrize("version", LATER)
def test_a_catalog_of_an_older_schema_is_brought_up_to_date(
    catalog: Catalog, url: str, version: int
) -> None:
    with catalog.db.write() as session:
        session.execute(text(f"UPDATE schema_version SET version = {version}"))
        for column in (one for since in range(version, 7) for one in LATER[since]):
            table, _, name = column.partition(".")
            session.execute(text(f"ALTER TABLE {table} DROP COLUMN {name}"))
        # Tables that came later are made whole.
        for table, last in (
            ("revisions", 3),
            ("provisional", 4),
            ("tries", 5),
            ("stale", 6),
            ("model_files", 6),
            ("comparisons", 6),
        ):
            if version <= last:
                session.execute(text(f"DROP TABLE {table}"))
    later = Catalog(url)
    try:
        tasks = {"arc_easy": 10}
        made = later.create_family(new_family(tasks=tasks), new_student(), rungs()).family
        later.set_fact(made.id, 0, "measured", Fact.YES, flags=["A dip."])
        later.set_task(made.id, 0, result("arc_easy"))
        assert later.family(made.id).tasks == tasks
        assert later.member(made.id, 0).flags == ("A dip.",)
        assert later.member(made.id, 0).tasks == {"arc_easy": result("arc_easy")}
        later.student_saved("k" * 32, {"step": 5})
        later.student_whole("k" * 32, {"model.safetensors": "a" * 64}, made=True)
        later.set_fact(made.id, 0, "built", Fact.YES, made_of="c" * 40)
        assert later.member(made.id, 0).made_of == "c" * 40
        later.claim_repo("me/x", made.id)
        there = Publication(repo="me/x", family=made.id, private=True, card="c", made_of="m")
        later.set_publication(there)
        assert (later.publication("me/x"), later.stale(made.id)) == (there, {})
        later.remember_files("c" * 40, {"config.json": "d"})
        assert later.files_at("c" * 40) == {"config.json": "d"}
        assert later.student("k" * 32).files == {"model.safetensors": "a" * 64}
    finally:
        later.close()
    Catalog(url).close()


def test_another_schema_is_refused(catalog: Catalog, url: str) -> None:
    with catalog.db.write() as session:
        session.execute(text("UPDATE schema_version SET version = 999"))
    with pytest.raises(BadRequest, match="schema 999"):
        Catalog(url)


def test_another_database_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        Catalog("mysql://host/name")
    assert caught.value.value == "mysql"


def test_a_cancelled_family_can_be_cancelled_again(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student()).family.id
    catalog.create_family(new_family(order="first"), new_student())
    for _ in range(2):
        assert catalog.cancel(first).state is StudentState.QUEUED
    assert catalog.family(first).measuring is Fact.FAILED


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


def test_a_measuring_that_was_cancelled_can_be_asked_for_again(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state("k" * 32, StudentState.READY)
    lease = catalog.lease_acquire(f"family:{family}", "a", 30)
    catalog.set_measuring(family, Fact.RUNNING, lease=lease)
    catalog.cancel(family)
    assert catalog.family(family).cancel
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.measure_cancelled(family, "cancelled on request", lease=lease)
    now = catalog.family(family)
    assert (now.measuring, now.settled, now.cancel) == (Fact.NO, False, None)


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
