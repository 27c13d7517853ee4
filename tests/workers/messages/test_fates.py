"""Every kind of job comes to an end, whatever keeps happening to it: nothing is sent for ever."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.tables import FollowRow, NoticeRow, SweepRow
from boomerang.errors import HubFailure, HubUnreachable
from boomerang.service.notify import NobodyThere, NotTaken
from tests.workers.models.test_members import context, family
from tests.workers.test_requests import Clock, clock
from tests.workers.test_setbacks import ask
from workers import assemble, distill, measure, publish, settle
from workers.context import Context
from workers.hooks import following, telling
from workers.models import keeping, rebuild

__all__ = ["clock", "context"]

AWAY, REFUSED, UNKNOWN = HubUnreachable("Away."), HubFailure("No."), RuntimeError("a bug")
PUBLISHED = NewRequest(kind="publish", what="1.0G", options={"namespace": "me"})


@dataclass
class Job:
    """A job of one kind: how it is worked on, what fails in it, as what a reaper knows it."""

    patched: str
    work: Callable[[], str]
    over: Callable[[], str | None]
    sent_as: str
    keep: bool = False


@pytest.fixture
def url(tmp_path: Path) -> str:
    """SQLite is enough: what is counted is the same on both."""
    return f"sqlite:///{tmp_path / 'home' / 'catalog.sqlite'}"


def failed(state: Any, reason: str | None) -> str | None:
    return str(reason) if state in (Fact.FAILED, StudentState.FAILED) else None


def a_student(there: Context) -> Job:
    key = ask(there, "quick").student.key
    look = lambda: there.catalog.student(key)  # noqa: E731
    return Job("workers.distill._make", lambda: distill.distill(there, key),
               lambda: failed(look().state, look().reason), "distill")  # fmt: skip


def a_look(there: Context) -> Job:
    made = family(there)
    there.catalog.rebuild(made.id)
    key = made.student

    def over() -> str | None:
        told = [e.payload for e in there.catalog.events_after(0) if e.kind == "unverified"]
        return str(told[-1]["reason"]) if told and told[-1]["again_in"] is None else None

    return Job("workers.distill.check_teacher", lambda: distill.distill(there, key), over,
               "distill")  # fmt: skip


def a_measuring(there: Context) -> Job:
    id_ = family(there).id
    look = lambda: there.catalog.family(id_)  # noqa: E731
    return Job("workers.measure._Measuring.work", lambda: measure.measure(there, id_),
               lambda: failed(look().measuring, look().measuring_reason), "measure")  # fmt: skip


def of_requests(there: Context, kind: str, patched: str) -> Job:
    request = NewRequest(kind="build", what="1.0G") if kind == "build" else PUBLISHED
    id_ = family(there, request).id
    measure.measure(there, id_)

    def work() -> str:
        if kind == "settle":
            return settle.settle(there, id_)
        sent: list[Any] = there.producer.sent  # type: ignore[attr-defined]
        sent.clear()
        settle.settle(there, id_)
        (job,) = [one.model_dump() for one in sent]
        task = assemble.assemble if kind == "build" else publish.publish
        return task(there, job.pop("family"), **job)

    def over() -> str | None:
        (one,) = there.catalog.requests(id_)
        return failed(one.state, one.reason)

    return Job(patched, work, over, "settle")


def a_copy(there: Context) -> Job:
    key = ask(there, "quick").student.key
    there.catalog.set_student_state(key, StudentState.DISTILLING)
    there.catalog.student_whole(key, {}, made=True, keep=True)
    keeps = replace(there, settings=there.settings.model_copy(update={"students": "me"}))
    over = lambda: None if there.catalog.keeps_waiting(key) else there.catalog.student(key).reason  # noqa: E731
    return Job("workers.models.keeping._push", lambda: keeping.push(keeps, key), over, "keep", True)


def a_following(there: Context) -> Job:
    id_ = family(there).id
    with there.catalog.db.write() as session:
        session.add(FollowRow(family=id_, attempts=0, sent=session.now(), sends=0))

    def over() -> str | None:
        told = [e.payload for e in there.catalog.events_after(0) if e.kind == "family"]
        return next((str(t["reason"]) for t in told if t["state"] == "not-followed"), None)

    patched = "workers.hooks.following.KeptRequest.model_validate"
    return Job(patched, lambda: following.follow(there, id_), over, "follow")


def a_rebuild(there: Context) -> Job:
    id_ = family(there).id
    measure.measure(there, id_)
    number = there.catalog.rebuild(id_).rebuild
    there.catalog.student_whole(there.catalog.family(id_).student, {}, made=False)
    measure.measure(there, id_)
    over = lambda: failed((r := there.catalog.rebuild_numbered(id_, number)).state, r.reason)  # noqa: E731
    return Job("workers.models.rebuild._Rebuilding.go_on", lambda: rebuild.rebuild(there, id_),
               over, "rebuild")  # fmt: skip


def a_notice(there: Context) -> Job:
    id_ = family(there).id
    with there.catalog.db.write() as session:
        session.add(NoticeRow(id="msg_1", family=id_, url="http://a", host="a", kind="family.ready",
                              data={}, created=session.now(), attempts=0, sent=session.now(),
                              sends=0))  # fmt: skip

    def over() -> str | None:
        told = [e.payload for e in there.catalog.events_after(0) if e.kind == "untold"]
        return str(told[0]["reason"]) if told else None

    return Job("workers.hooks.telling.send", lambda: telling.tell(there), over, "tell")


def a_sweep(there: Context) -> Job:
    family(there)
    with there.catalog.db.write() as session:
        session.add(SweepRow(digest="a" * 40, sent=session.now(), sends=0))
    over = lambda: None if there.catalog.sweeps() else "it stays where it is"  # noqa: E731
    return Job("workers.assemble._swept", lambda: assemble.sweep(there), over, "sweep")


KINDS: dict[str, Callable[[Context], Job]] = {
    "distill": a_student, "verify": a_look, "measure": a_measuring,
    "settle": lambda there: of_requests(there, "settle", "workers.settle._settle_all"),
    "build": lambda there: of_requests(there, "build", "workers.assemble.member_files"),
    "publish": lambda there: of_requests(there, "publish", "workers.publish._publish"),
    "keep": a_copy, "follow": a_following, "rebuild": a_rebuild, "tell": a_notice,
    "sweep": a_sweep,
}  # fmt: skip
FOR_A_DAY = {("tell", "away"), ("tell", "refused"), ("tell", "unknown")}
"""A notice is tried for a day, whatever is wrong with its host."""
PARKED = {"distill", "measure", "settle", "build", "publish", "keep", "rebuild"}
"""What a fault of ours parks; of the others nothing is left to begin anew."""
FOR_EVER = {("sweep", "away")}
"""Once an hour, until the folder is removed."""


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("name", "error"), [("away", AWAY), ("refused", REFUSED), ("unknown", UNKNOWN)]
)
def test_a_job_ends(
    context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    kind: str, name: str, error: Exception,
) -> None:  # fmt: skip
    job, attempts = KINDS[kind](context), context.settings.max_attempts
    tried: list[float] = []
    if kind == "tell" and name != "unknown":
        error = NobodyThere("Nobody.") if name == "away" else NotTaken("No.")

    def fail(*_: Any, **__: Any) -> None:
        tried.append(clock.now)
        raise error

    monkeypatch.setattr(job.patched, fail)
    limit = 40 if (kind, name) in FOR_A_DAY | FOR_EVER else 20
    while job.over() is None and len(tried) < limit:
        job.work()
        if job.over() is not None:
            break
        clock.now += 400 if (kind, name) not in FOR_A_DAY | FOR_EVER else 4000
        assert job.sent_as in [due.job for due in context.catalog.reap(60, attempts, keep=job.keep)]
    if (kind, name) in FOR_EVER:
        assert len(tried) == limit
        return
    reason = job.over()
    assert reason is not None, f"still open after {len(tried)} attempts"
    assert tried or name != "refused"
    if name == "unknown" and (kind, name) not in FOR_A_DAY and kind != "sweep":
        assert len(tried) == attempts
    parked = int(name == "unknown" and kind in PARKED)
    assert context.catalog.parked() == parked
    assert sum(job.parked for job in context.catalog.jobs().failed) == parked
    # Nobody takes it again by himself.
    for _ in range(3):
        clock.now += 4000
        sent = [due.job for due in context.catalog.reap(60, attempts, keep=job.keep)]
        assert job.sent_as not in sent
