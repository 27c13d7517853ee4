"""What becomes of a request: tried again, given up, and never ended by what was before it."""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.database import Database
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Family, NewRequest, Request
from boomerang.catalog.records.states import Fact
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import HubFailure, HubUnreachable
from boomerang.hub.publish import Published
from tests.workers.conftest import KEPT, write_model
from tests.workers.models.test_members import context, family
from workers.assemble import assemble
from workers.context import Context
from workers.measure import measure
from workers.publish import publish
from workers.settle import settle

__all__ = ["context"]

Push = Callable[..., Published]


class Clock:
    """The database's clock, as a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1e9
        monkeypatch.setattr(Database, "now", lambda *_: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def jobs(context: Context) -> list[dict[str, Any]]:
    """The jobs that were sent since this was asked last, as a worker gets them."""
    sent = context.producer.sent  # type: ignore[attr-defined]
    found = [job.model_dump() for job in sent]
    sent.clear()
    return [{("family_id" if k == "family" else k): v for k, v in job.items()} for job in found]


def the_want(context: Context, made: Family) -> Request:
    (request,) = context.catalog.requests(made.id)
    return request


def test_a_request_that_is_made_again_is_not_ended_by_what_failed_before(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception | None] = [HubFailure("no"), HubFailure("no"), None, None]

    def push(repo: str, *_: Any, **__: Any) -> Published:
        said = answers.pop(0)
        if said is not None:
            raise said
        return Published(repo, "9" * 40, "", True)

    monkeypatch.setattr("workers.publish.push", push)
    request = NewRequest(kind="publish", what="*", options={"namespace": "me"})
    made = family(context, request)
    measure(context, made.id)
    first, second = jobs(context)
    assert publish(context, **first) == "failed"
    # The other one may yet be done.
    assert the_want(context, made).state is Fact.RUNNING
    assert publish(context, **second) == "failed"
    assert the_want(context, made).state is Fact.FAILED
    context.catalog.add_requests(made.id, [request])
    assert settle(context, made.id) == "2 sent"
    first, second = jobs(context)
    assert publish(context, **first) == "published"
    assert the_want(context, made).state is Fact.RUNNING
    assert publish(context, **second) == "published"
    assert the_want(context, made).state is Fact.YES


@pytest.mark.parametrize("kind", ["build", "publish"])
def test_work_that_kills_its_worker_is_tried_again_later_and_not_for_ever(
    context: Context, clock: Clock, kind: str
) -> None:
    options = {"namespace": "me"}
    made = family(context, NewRequest(kind=kind, what="1.0G", options=options))  # type: ignore[arg-type]
    measure(context, made.id)
    fact = "built" if kind == "build" else "published"
    (job,) = jobs(context)
    member = context.catalog.member(made.id, job["k"])
    waits = []
    while True:
        lease = context.catalog.lease_acquire(f"{kind}:{member.digest}", "one that dies", 30)
        assert lease is not None
        context.catalog.set_fact(made.id, member.k, fact, Fact.RUNNING, lease=lease)  # type: ignore[arg-type]
        clock.now += 31
        died, due = clock.now, context.catalog.reap(600, 4)
        if getattr(context.catalog.member(made.id, member.k), fact) is Fact.FAILED:
            break
        # What is waited for is not sent, whoever looks after the request meanwhile.
        assert due == (Due("settle", made.id),)
        assert settle(context, made.id) == "0 sent"
        while context.catalog.reap(600, 4) != (Due("settle", made.id),):
            clock.now += 0.5
        waits.append(clock.now - died)
        assert settle(context, made.id) == "1 sent"
        assert len(jobs(context)) == 1
    assert len(waits) == 3
    assert waits == sorted(set(waits))
    assert due == (Due("settle", made.id),)
    assert settle(context, made.id) == "0 sent"
    request = the_want(context, made)
    assert (request.state, "its worker was lost" in str(request.reason)) == (Fact.FAILED, True)
    # Asked for again it is tried as often again.
    context.catalog.add_requests(made.id, [NewRequest(kind=kind, what="1.0G", options=options)])  # type: ignore[arg-type]
    assert settle(context, made.id) == "1 sent"
    assert getattr(context.catalog.member(made.id, member.k), fact) is Fact.NO


def test_a_hub_that_is_away_ends_no_publication(
    context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Exception | None] = [HubUnreachable("The Hub is away."), None]

    def push(repo: str, *_: Any, **__: Any) -> Published:
        said = answers.pop(0)
        if said is not None:
            raise said
        return Published(repo, "9" * 40, "", True)

    monkeypatch.setattr("workers.publish.push", push)
    request = NewRequest(kind="publish", what="1.0G", options={"namespace": "me"})
    made = family(context, request)
    measure(context, made.id)
    (job,) = jobs(context)
    assert publish(context, **job) == "again"
    assert the_want(context, made).state is Fact.RUNNING
    assert settle(context, made.id) == "0 sent"
    clock.now += 2
    assert context.catalog.reap(600, 4) == (Due("settle", made.id),)
    assert settle(context, made.id) == "1 sent"
    assert publish(context, **jobs(context)[0]) == "published"
    assert the_want(context, made).state is Fact.YES


def test_whoever_dies_looking_after_requests_is_not_replaced_for_ever(
    context: Context, clock: Clock
) -> None:
    made = family(context)
    measure(context, made.id)
    context.catalog.add_requests(made.id, [NewRequest(kind="build", what="*")])
    for _ in range(4):
        lease = context.catalog.lease_acquire(f"settle:{made.id}", "one that dies", 30)
        assert lease is not None
        clock.now += 3600
        context.catalog.reap(60, 4)
        clock.now += 3600
        context.catalog.reap(60, 4)
    request = the_want(context, made)
    assert (request.state, "its worker was lost" in str(request.reason)) == (Fact.FAILED, True)
    context.catalog.add_requests(made.id, [NewRequest(kind="build", what="*")])
    assert settle(context, made.id) == "2 sent"


@pytest.mark.parametrize("between", ["it went well", "its members are gone"])
def test_requests_that_were_looked_after_well_are_not_given_up_for_old_deaths(
    context: Context, clock: Clock, between: str
) -> None:
    made = family(context)
    measure(context, made.id)
    context.catalog.add_requests(made.id, [NewRequest(kind="build", what="1.0G")])
    assert settle(context, made.id) == "1 sent"
    member = context.catalog.member(made.id, jobs(context)[0]["k"])
    for _ in range(2):
        for _ in range(3):
            lease = context.catalog.lease_acquire(f"settle:{made.id}", "one that dies", 30)
            assert lease is not None
            clock.now += 3600
            context.catalog.reap(60, 4)
            clock.now += 3600
            context.catalog.reap(60, 4)
        if between == "it went well":
            assert settle(context, made.id) == "1 sent"
        elif member.built is Fact.NO:
            request = the_want(context, made)
            assert assemble(context, made.id, member.k, request.id) == "built"
            member = context.catalog.member(made.id, member.k)
            context.catalog.member_gone(made.id, member.k, "built", "its folder is gone")
        assert the_want(context, made).state in (Fact.NO, Fact.RUNNING)


def rewrite(context: Context, seed: int) -> None:
    """Make the student again, with other weights of the same size."""
    folder = context.settings.home.parent / "student"
    again = folder.with_name("again")
    write_model(again, len(KEPT), seed)
    (again / "model.safetensors").replace(folder / "model.safetensors")


def test_a_member_of_a_student_that_was_made_again_is_built_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a student of ours, whose name says nothing of its bytes.
    monkeypatch.setattr("boomerang.service.models.pairs.check_unchanged", lambda *_: None)
    made = family(context)
    measure(context, made.id)
    member = context.catalog.member(made.id, 0)
    folder = context.settings.member_folder(member.digest)
    assert [assemble(context, made.id, 0) for _ in range(2)] == ["built", "already built"]
    weights = sorted(folder.glob("*.safetensors"))
    before = [path.read_bytes() for path in weights]
    rewrite(context, seed=3)
    assert assemble(context, made.id, 0) == "built"
    assert [path.read_bytes() for path in weights] != before
    assert assemble(context, made.id, 0) == "already built"


def test_a_member_whose_bytes_changed_is_not_believed(context: Context) -> None:
    made = family(context)
    measure(context, made.id)
    folder = context.settings.member_folder(context.catalog.member(made.id, 0).digest)
    assert assemble(context, made.id, 0) == "built"
    for path in (next(folder.glob("*.safetensors")), folder / "config.json"):
        good = path.read_bytes()
        path.write_bytes(good[:-4] + bytes(4))
        assert assemble(context, made.id, 0) == "built"
        assert path.read_bytes() == good
        assert assemble(context, made.id, 0) == "already built"
    assert Checkpoint.open(folder).parameters == context.catalog.member(made.id, 0).parameters
