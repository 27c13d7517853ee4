"""Any interleaving of requests, workers, crashes, lost and doubled messages, and deletions."""

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import initialize, precondition, rule

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.jobs import KeyFamily, Message, Publish
from tests.interleavings.plans import plan
from tests.interleavings.promises import Promises
from tests.interleavings.stage import taken

KEYS = st.sampled_from(["a" * 32, "a" * 32, "b" * 32])
ORDERS = st.sampled_from(["last", "first", "auto"])
WANTS = st.lists(
    st.sampled_from(
        [
            NewRequest(kind="build", what="*"),
            NewRequest(kind="build", what="1.00K"),
            NewRequest(kind="publish", what="2.00K", options={"namespace": "me"}),
        ]
    ),
    max_size=2,
    unique_by=lambda request: (request.kind, request.what),
)
ANY = st.integers(0, 1 << 20)
HOW = st.sampled_from(["on"] * 8 + ["stop", "away", "died", "error"])


class Interleavings(Promises):
    """Everything that can happen to a catalog, in any order."""

    @initialize(order=st.sampled_from([None, "last", "auto"]))
    def begin(self, order: str | None) -> None:
        """Most begin with a family that has all that was asked: it takes many steps to there."""
        if order is not None:
            every = [NewRequest(kind="build", what="*")]
            planned = plan("a" * 32, order, every)
            made = self.catalog.create_family(
                planned.family, planned.student, planned.members, every
            )
            self.world.outbox.start(made)
            self.world.work_off()

    # What people ask for.

    @rule(key=KEYS, order=ORDERS, requests=WANTS, twice=st.booleans(), tasks=st.booleans())
    def request(
        self, key: str, order: str, requests: list[NewRequest], twice: bool, tasks: bool
    ) -> None:
        asked = FamilyRequest.model_validate(plan(key, order, requests, tasks).family.request)
        for _ in range(1 + twice):
            intended = taken(self.world, asked)
            planned = intended.records
            if intended.unhashed:
                waiting, send = self.catalog.expect(planned, 1)
                if send:
                    self.world.outbox.send(KeyFamily(family=waiting.id))
                continue
            made = self.catalog.create_family(
                planned.family, planned.student, planned.members, planned.requests
            )
            self.world.outbox.start(made)

    @rule(pick=ANY, requests=WANTS)
    @precondition(lambda self: self.catalog.families())
    def ask_for_more(self, pick: int, requests: list[NewRequest]) -> None:
        self.world.outbox.start(self.catalog.add_requests(self._family(pick), requests))

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
        self.ask_for_more(pick, [NewRequest(kind="publish", what="*", options={"namespace": "me"})])
        if self.world.queue:
            self._take_over(self.world.queue[-1], before, 20)

    def _take_over(self, job: Message, before: int, after: int) -> None:
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
        for family in self.catalog.families(student=key)[:asked]:
            self.world.outbox.start(self.catalog.rebuild(family.id))

    @rule(key=KEYS)
    def lose_checkpoint(self, key: str) -> None:
        self.world.checkpoints.pop(key, None)

    @rule(pick=ANY)
    @precondition(lambda self: self._published())
    def unpublish(self, pick: int) -> None:
        there = self._published()
        self.world.unpublish(*there[pick % len(there)])

    @rule(pick=ANY, before=st.integers(8, 40))
    @precondition(lambda self: self.catalog.families())
    def publish_and_take_down(self, pick: int, before: int) -> None:
        """Each card says where the other sizes are, so that the first is published again."""
        family, world = self._family(pick), self.world
        self.ask_for_more(pick, [NewRequest(kind="publish", what="*", options={"namespace": "me"})])
        for _ in range(before):
            if any(isinstance(job, Publish) and job.want is None for job in world.queue):
                break
            if world.workers:
                world.step(world.workers[0])
            elif world.queue:
                world.start(world.queue.pop())
        for found, k in self._published():
            if found == family:
                world.unpublish(found, k)

    def _published(self) -> list[tuple[str, int]]:
        return sorted(
            (family.id, member.k)
            for family in self.catalog.families()
            for member in self.catalog.members(family.id)
            if member.published is Fact.YES
        )
