"""Jobs as people see them: on which worker since when, what waits for what, what failed and why."""

import pytest
from sqlalchemy import event

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.jobs import Job, Stage
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.setbacks import Limits, Setback
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
LIMITS = Limits(3, 100.0)


def said(jobs: tuple[Job, ...]) -> list[tuple[str, str | None, str | None]]:
    return [(job.kind, job.name, job.what) for job in jobs]


@pytest.fixture
def family(catalog: Catalog) -> str:
    return catalog.create_family(new_family(), new_student(), rungs()).family.id


def ready(catalog: Catalog, family: str) -> None:
    catalog.student_whole(KEY, {}, made=True)
    catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_measuring(family, state)


def test_a_student_waits_runs_and_fails(catalog: Catalog, family: str) -> None:
    [job] = catalog.jobs().waiting
    assert (job.kind, job.queue, job.family, job.name) == (
        "distill",
        "distill",
        family,
        "Teacher-4B",
    )
    lease = catalog.lease_acquire(f"student:{KEY}", "host:1:ab:2", 30)
    assert lease is not None
    catalog.set_student_state(KEY, StudentState.DISTILLING, lease=lease)
    catalog.student_progress(KEY, {"step": 3, "steps": 10}, lease=lease)
    found = catalog.jobs()
    [job] = found.running
    assert (job.worker, job.done, job.total, job.family) == ("host:1:ab:2", 3, 10, family)
    assert 0 <= found.now - (job.since or 0) < 30
    assert found.waiting == ()
    # Something is away: it is said when it is tried again.
    catalog.student_again(KEY, Setback.OUTSIDE, "The Hub is away.", LIMITS, lease=lease)
    catalog.lease_release(lease)
    found = catalog.jobs()
    [job] = found.waiting
    assert found.running == ()
    assert job.due is not None
    assert job.away_since is not None
    assert job.due > found.now
    assert job.reason == "The Hub is away; again in 1 s"
    catalog.set_student_state(KEY, StudentState.FAILED, "No such text.")
    found = catalog.jobs()
    assert (found.waiting, [job.reason for job in found.failed]) == ((), ["No such text."])
    assert found.counts == {Stage.RUNNING: 0, Stage.WAITING: 0, Stage.FAILED: 1}
    # Whoever forgets the family has nothing to be told.
    catalog.delete_family(family)
    assert catalog.jobs().failed == ()


def test_what_was_cancelled_did_not_fail(catalog: Catalog, family: str) -> None:
    ready(catalog, family)
    catalog.add_requests(family, [NewRequest(kind="build", what="*")])
    catalog.rebuild(family)
    assert {job.kind for job in catalog.jobs().waiting} == {"verify", "build", "rebuild"}
    catalog.cancel(family)
    assert catalog.jobs().failed == ()
    assert {job.kind for job in catalog.jobs().waiting} == {"verify"}


def test_members_wait_run_and_fail_one_by_one(catalog: Catalog, family: str) -> None:
    ready(catalog, family)
    catalog.add_requests(family, [NewRequest(kind="build", what="*")])
    assert said(catalog.jobs().waiting) == [("build", "Teacher-4B", "*")]
    [request] = catalog.requests(family)
    catalog.open_request(request, catalog.members(family))
    lease = catalog.lease_acquire("build:d0", "one", 30)
    assert lease is not None
    catalog.set_fact(family, 0, "built", Fact.RUNNING, lease=lease)
    found = catalog.jobs()
    assert said(found.running) == [("build", "Teacher-4B", "1.00K")]
    assert said(found.waiting) == [("build", "Teacher-4B", "2.00K")]
    assert catalog.member_again(family, 0, "built", "The disk is full.", LIMITS, lease=lease)
    catalog.lease_release(lease)
    small, large = sorted(catalog.jobs().waiting, key=lambda job: str(job.what))
    assert (small.reason, large.reason) == ("The disk is full; again in 1 s", None)
    assert small.due is not None
    assert large.due is None
    for k in (0, 1):
        catalog.set_fact(family, k, "built", Fact.FAILED, "No room.")
    catalog.set_request(request.id, Fact.FAILED, "1.00K: No room.")
    found = catalog.jobs()
    assert (found.waiting, said(found.failed)) == ((), [("build", "Teacher-4B", "*")])
    assert found.failed[0].since is not None
    # Asked for again, it is no failure any more.
    catalog.add_requests(family, [NewRequest(kind="build", what="*")])
    assert catalog.jobs().failed == ()


def test_a_measuring_that_failed_and_a_rebuild_that_did(catalog: Catalog, family: str) -> None:
    catalog.student_whole(KEY, {}, made=True)
    assert said(catalog.jobs().waiting) == [("measure", "Teacher-4B", None)]
    lease = catalog.lease_acquire(f"family:{family}", "one", 30)
    assert lease is not None
    assert said(catalog.jobs().running) == [("measure", "Teacher-4B", None)]
    catalog.set_measuring(family, Fact.FAILED, "No held-out text.", lease=lease)
    catalog.lease_release(lease)
    number = catalog.rebuild(family).rebuild
    own = catalog.lease_acquire(f"rebuild:{family}", "one", 30)
    assert own is not None
    catalog.rebuild_over(number, Fact.FAILED, "The teacher is gone.", lease=own)
    catalog.lease_release(own)
    assert {job.reason for job in catalog.jobs().failed} == {
        "No held-out text.",
        "The teacher is gone.",
    }
    # One that is asked for after it stands for it.
    catalog.rebuild(family)
    assert [job.kind for job in catalog.jobs().failed] == ["measure"]


def test_of_many_the_newest_are_shown_and_all_are_counted(catalog: Catalog) -> None:
    for number in range(7):
        key = f"{number:032d}"
        catalog.create_family(new_family(key), new_student(key))
        if number % 2:
            catalog.set_student_state(key, StudentState.FAILED, f"cause {number}")
    found = catalog.jobs(limit=2)
    assert [job.reason for job in found.failed] == ["cause 5", "cause 3"]
    assert len(found.waiting) == 2
    assert found.counts == {Stage.RUNNING: 0, Stage.WAITING: 4, Stage.FAILED: 3}


def test_it_asks_as_often_of_many_as_of_few(catalog: Catalog) -> None:
    asked: list[str] = []
    event.listen(
        catalog.db.engine, "before_cursor_execute", lambda *told: asked.append(str(told[2]))
    )
    often = []
    for start, stop in ((0, 6), (6, 40)):
        for number in range(start, stop):
            key = f"{number:032d}"
            made = catalog.create_family(new_family(key), new_student(key), rungs()).family
            catalog.add_requests(made.id, [NewRequest(kind="build", what="*")])
            if number % 2:
                catalog.set_student_state(key, StudentState.FAILED, "no text")
        asked.clear()
        catalog.jobs(limit=2)
        often.append(len(asked))
    assert often[0] == often[1]


def test_whatever_is_held_is_shown(catalog: Catalog, family: str) -> None:
    for subject in (f"keep:{KEY}", f"settle:{family}", "notices:a.example", "fetch:gpt@abc",
                    "publish:gone", "file:ab", f"compare:{KEY}", "provisional:x"):  # fmt: skip
        catalog.lease_acquire(subject, "one", 30)
    kinds = {job.kind: job for job in catalog.jobs().running}
    assert set(kinds) == {
        "keep", "settle", "notify", "fetch", "publish", "file", "compare", "hash",
    }  # fmt: skip
    assert (kinds["keep"].name, kinds["fetch"].what) == ("Teacher-4B", "gpt")
    assert kinds["publish"].family is None
