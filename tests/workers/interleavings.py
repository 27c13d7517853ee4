"""Any interleaving of requests, workers, crashes, lost and doubled messages, and deletions.

Held after every step: what is ready stays ready, what is said to be there is there, every change
of state is a legal one, nobody's word counts after somebody took over, and nobody's student ends
who waits for it. Held once nothing more goes wrong: everything that was asked for is there or was
given up for a reason that a step gave, and nothing was distilled, built or uploaded twice.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from boomerang.service.asks import FamilyRequest
from boomerang.service.catalog import Catalog
from boomerang.service.jobs import Job, KeyFamily
from boomerang.service.records import Fact, Keying, Member, NewWant, StudentState, has_result
from boomerang.service.transitions import FACTS, STUDENT, WANT, Moves
from tests.workers.stage import taken
from tests.workers.world import MOST, REFUSED, World, plan

KEYS = st.sampled_from(["a" * 32, "a" * 32, "b" * 32])
ORDERS = st.sampled_from(["last", "first", "auto"])
WANTS = st.lists(
    st.sampled_from(
        [
            NewWant(kind="build", what="*"),
            NewWant(kind="build", what="1.00K"),
            NewWant(kind="publish", what="2.00K", options={"namespace": "me"}),
        ]
    ),
    max_size=2,
    unique_by=lambda want: (want.kind, want.what),
)
ANY = st.integers(0, 1 << 20)
HOW = st.sampled_from(["on"] * 8 + ["stop", "away", "died", "error"])


class Interleavings(RuleBasedStateMachine):
    """Everything that can happen to a catalog, in any order."""

    def __init__(self, open_catalog: Callable[[], Catalog], home: Path) -> None:
        super().__init__()
        self.world = World(open_catalog(), home)
        self.catalog = self.world.catalog
        self.ready: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.seen, self.deleted = 0, 0
        self.told: dict[tuple[object, ...], str] = {}

    @initialize(order=st.sampled_from([None, "last", "auto"]))
    def begin(self, order: str | None) -> None:
        """Most begin with a family that has all that was asked: it takes many steps to there."""
        if order is not None:
            every = [NewWant(kind="build", what="*")]
            planned = plan("a" * 32, order, every)
            made = self.catalog.create_family(
                planned.family, planned.student, planned.members, every
            )
            self.world.outbox.start(made)
            self.world.work_off()

    # What people ask for.

    @rule(key=KEYS, order=ORDERS, wants=WANTS, twice=st.booleans(), tasks=st.booleans())
    def request(self, key: str, order: str, wants: list[NewWant], twice: bool, tasks: bool) -> None:
        asked = FamilyRequest.model_validate(plan(key, order, wants, tasks).family.request)
        for _ in range(1 + twice):
            intake = taken(self.world, asked)
            planned = intake.planned
            if intake.unhashed:
                waiting, send = self.catalog.expect(planned, 1)
                if send:
                    self.world.outbox.send(KeyFamily(family=waiting.id))
                continue
            made = self.catalog.create_family(
                planned.family, planned.student, planned.members, planned.wants
            )
            self.world.outbox.start(made)

    @rule(pick=ANY, wants=WANTS)
    @precondition(lambda self: self.catalog.families())
    def ask_for_more(self, pick: int, wants: list[NewWant]) -> None:
        self.world.outbox.start(self.catalog.add_wants(self._family(pick), wants))

    @rule(pick=ANY, force=st.sampled_from([False, False, True]))
    @precondition(lambda self: 0 < len(self.catalog.families()) < 6)
    def rebuild(self, pick: int, force: bool) -> None:
        self.world.outbox.start(self.catalog.rebuild(self._family(pick), force=force))

    @rule(pick=ANY)
    @precondition(lambda self: self.catalog.families())
    def cancel(self, pick: int) -> None:
        family = self._family(pick)
        self.catalog.cancel(family)
        self.cancelled |= {family, self.catalog.family(family).student}

    @rule(key=KEYS, pick=ANY)
    def share_and_cancel(self, key: str, pick: int) -> None:
        for order in ("last", "first"):
            self.request(key, order, [], False, False)
        if self.catalog.families():
            self.cancel(pick)

    @rule(pick=ANY)
    @precondition(lambda self: self.catalog.families())
    def delete(self, pick: int) -> None:
        family = self._family(pick)
        self.deleted += 1
        self.cancelled.add(self.catalog.family(family).student)
        self.world.outbox.sweep(self.catalog.delete_family(family))

    @rule()
    @precondition(lambda self: self.catalog.all_waiting())
    def give_up(self) -> None:
        for waiting in self.catalog.all_waiting():
            self.cancelled.add(waiting.id)
            self.catalog.give_up(waiting.id)

    def _family(self, pick: int) -> str:
        found = sorted(family.id for family in self.catalog.families())
        return found[pick % len(found)]

    # What happens to messages.

    @rule(pick=ANY, keep=st.sampled_from([False, False, True]))
    @precondition(lambda self: self.world.queue)
    def deliver(self, pick: int, keep: bool) -> None:
        queue = self.world.queue
        job = queue[pick % len(queue)]
        if not keep:
            queue.remove(job)
        self.world.start(job)

    @rule(pick=ANY)
    @precondition(lambda self: self.world.queue)
    def lose(self, pick: int) -> None:
        self.world.queue.pop(pick % len(self.world.queue))

    @rule()
    def reap(self) -> None:
        self.world.reap()

    # What happens to workers.

    @rule(pick=ANY, how=HOW, times=st.integers(1, 12))
    @precondition(lambda self: self.world.workers)
    def work(self, pick: int, how: Any, times: int) -> None:
        worker = self.world.workers[pick % len(self.world.workers)]
        for _ in range(times):
            if worker in self.world.workers:
                self.world.step(worker, how)

    @rule()
    @precondition(lambda self: self.world.queue or self.world.workers)
    def work_off(self) -> None:
        self.world.work_off()

    @rule(pick=ANY)
    @precondition(lambda self: self.world.workers)
    def kill(self, pick: int) -> None:
        self.world.kill(self.world.workers[pick % len(self.world.workers)])

    @rule(pick=ANY)
    @precondition(lambda self: any(not w.stalled for w in self.world.workers))
    def stall(self, pick: int) -> None:
        awake = [worker for worker in self.world.workers if not worker.stalled]
        self.world.stall(awake[pick % len(awake)])

    @rule(pick=ANY, before=st.integers(0, 12), after=st.integers(0, 20))
    @precondition(lambda self: self.world.queue)
    def take_over(self, pick: int, before: int, after: int) -> None:
        """A worker falls silent; another does its job meanwhile, or a part of it."""
        self._take_over(self.world.queue[pick % len(self.world.queue)], before, after)

    @rule(pick=ANY, before=st.integers(1, 4))
    @precondition(lambda self: self.catalog.families())
    def publish_and_fall_silent(self, pick: int, before: int) -> None:
        self.ask_for_more(pick, [NewWant(kind="publish", what="*", options={"namespace": "me"})])
        if self.world.queue:
            self._take_over(self.world.queue[-1], before, 20)

    def _take_over(self, job: Job, before: int, after: int) -> None:
        world = self.world
        world.start(job)
        silent = world.workers[-1] if world.workers else None
        for _ in range(before):
            if silent in world.workers:
                world.step(silent)
        if silent not in world.workers:
            return
        world.stall(silent)
        world.tick(40.0)
        world.reap()
        world.start(job)
        for _ in range(after):
            for worker in [w for w in world.workers if w is not silent]:
                world.step(worker)
        while silent in world.workers:
            world.step(silent)

    @rule(seconds=st.sampled_from([1.0, 10.0, 40.0, 400.0]))
    def tick(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule(pick=ANY, asked=st.booleans())
    @precondition(lambda self: self.ready and self.catalog.families())
    def damage(self, pick: int, asked: bool) -> None:
        key = sorted(self.ready)[pick % len(self.ready)]
        self.world.damage(key)
        for family in self.catalog.families_of_student(key)[:asked]:
            self.world.outbox.start(self.catalog.rebuild(family.id))

    @rule(key=KEYS)
    def lose_checkpoint(self, key: str) -> None:
        self.world.checkpoints.pop(key, None)

    @rule(pick=ANY)
    @precondition(lambda self: self._published())
    def unpublish(self, pick: int) -> None:
        there = self._published()
        family, k = there[pick % len(there)]
        self.catalog.member_gone(family, k, "published", "gone from the Hub")

    def _published(self) -> list[tuple[str, int]]:
        return sorted(
            (family.id, member.k)
            for family in self.catalog.families()
            for member in self.catalog.members(family.id)
            if member.published is Fact.YES
        )

    # What must be so whatever happens.

    @invariant()
    def promises(self) -> None:
        self._ready_stays_ready()
        self._there_is_what_is_said()
        self._every_change_was_told()
        self._nobody_waits_for_what_was_cancelled()

    def _ready_stays_ready(self) -> None:
        for student in self.catalog.students():
            if student.state is StudentState.READY:
                made = self.world.made(student.key)
                assert made is not None, student
                self.ready[student.key] = made.rstrip("!")
            elif student.key in self.ready:
                # Only damage takes it back, and what is damaged is kept.
                assert self.ready.pop(student.key) in self.world.set_aside(student.key), student

    def _there_is_what_is_said(self) -> None:
        for ladder in self.catalog.ladders([f.id for f in self.catalog.families()]).values():
            for member in ladder:
                if member.built is Fact.YES:
                    assert self.world.built_of(member.digest) is not None, member

    def _every_change_was_told(self) -> None:
        for event in self.catalog.events_after(self.seen, limit=10_000):
            self.seen, said = event.id, event.payload
            if event.kind == "student" and event.family is None:
                self._told(STUDENT, said["state"], "student", event.student, said=said)
            elif event.kind == "want":
                self._told(WANT, said["state"], "want", event.family, said["id"])
            elif event.kind == "member":
                moves = FACTS[said["fact"]]
                self._told(moves, said["state"], said["fact"], event.family, said["k"], first="no")
            elif event.kind == "members":
                # What is known of members follows their digests, without a word.
                for key in [k for k in self.told if k[1] == event.family and k[0] in FACTS]:
                    del self.told[key]
            elif event.kind == "measuring":
                self.told["measuring", event.family] = said["state"]
            elif event.kind == "family" and said["state"] == "deleted":
                self.told = {k: state for k, state in self.told.items() if k[1] != event.family}
        for student in self.catalog.students():
            assert self.told["student", student.key] == student.state
        wants = self.catalog.all_wants()
        for family in self.catalog.families():
            assert self.told.get(("measuring", family.id), "no") == family.measuring
            for want in wants.get(family.id, ()):
                assert self.told["want", family.id, want.id] == want.state

    def _told(
        self, moves: Moves, state: str, *key: object, first: str = "", said: Any = None
    ) -> None:
        before = self.told.get(key)
        if said is not None and said["reason"] == "cancelling":
            return
        if before is not None or key[0] not in FACTS:
            assert (before or first, state) in moves, f"{key} was {before}, and became {state}"
        self.told[key] = state

    def _nobody_waits_for_what_was_cancelled(self) -> None:
        ended = {s.key for s in self.catalog.students() if s.state is StudentState.CANCELLED}
        ended |= {s.key for s in self.catalog.students() if s.cancel}
        for family in self.catalog.families():
            assert family.student not in ended or family.cancel, (
                f"{family.id} waits for its student"
            )

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            for worker in [*self.world.workers]:
                self.world.kill(worker)
            self.catalog.close()

    def _end(self) -> None:
        world = self.world
        world.settle_down()
        self.promises()
        for student in self.catalog.students():
            made = world.trained[student.key]
            assert made <= 1 + len(world.set_aside(student.key)), f"it was distilled {made} times"
            if student.state is not StudentState.READY:
                self._given_up(f"student:{student.key}", student.key, student.reason)
        for waiting in self.catalog.all_waiting():
            if waiting.state is not Keying.CANCELLED:
                self._given_up(f"provisional:{waiting.id}", waiting.id, waiting.reason)
        for (digest, _), times in world.built.items():
            # What is deleted is swept; families that have a member both may build it at once.
            most = len(self.catalog.families()) + world.losses[f"build:{digest}"] + self.deleted
            assert times <= most, f"{digest} was built {times} times"
        for (repo, subject, _), times in world.uploaded.items():
            most = 1 + world.losses[subject] + self.deleted
            assert times <= most, f"{repo} was uploaded {times} times"
        for family in self.catalog.families():
            if self.catalog.student(family.student).state is StudentState.READY:
                self._end_of(family.id)

    def _end_of(self, id_: str) -> None:
        family, members = self.catalog.family(id_), self.catalog.members(id_)
        made = (self.world.made(family.student) or "").rstrip("!")
        if family.measuring is not Fact.YES:
            self._given_up(f"family:{id_}", id_, family.measuring_reason)
        elif family.tasks:
            assert all(has_result(m.tasks, "t", None) for m in members), "a task was forgotten"
        for member in members:
            if member.measured is Fact.YES:
                assert member.perplexity == float(made), "measured of other bytes"
            if member.built is Fact.YES:
                assert self.world.built_of(member.digest) == made, "built of other bytes"
        for want in self.catalog.wants(id_):
            if want.state is Fact.FAILED:
                assert want.reason
                if not (id_ in self.cancelled and "cancelled" in want.reason):
                    self._want_given_up(id_, want.kind, want.reason, members)
            elif want.state is Fact.YES:
                fact = "built" if want.kind == "build" else "published"
                asked = [m for m in members if want.what in ("*", m.size)]
                assert all(getattr(m, fact) is Fact.YES for m in asked), want

    def _given_up(self, subject: str, name: str, reason: str | None) -> None:
        """Something was not done: because a step said so, or it was tried often enough."""
        assert reason
        assert (
            (name in self.cancelled and "cancelled" in reason)
            or (subject in self.world.errors and REFUSED in reason)
            or self.world.losses[subject] >= MOST
            or any(error.startswith("hash:") for error in self.world.errors)
        ), (subject, reason)

    def _want_given_up(self, family: str, kind: str, reason: str, found: Sequence[Member]) -> None:
        subjects = {f"{kind}:{member.digest}" for member in found} | {f"settle:{family}"}
        lost = any(self.world.losses[subject] >= MOST for subject in subjects)
        refused = bool(subjects & self.world.errors)
        assert lost or refused or "not ready" in reason or "gone from" in reason, reason
