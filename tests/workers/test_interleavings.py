"""Any interleaving of requests, workers, crashes, lost and doubled messages, and deletions.

Held after every step: what is ready stays ready, what is said to be there is there, nobody's word
counts after somebody took over. Held once nothing more goes wrong: everything that was asked for
is there or was given up for a reason that a step gave, and a student was distilled once.

`BOOMERANG_TEST_INTERLEAVINGS=100` tries a hundred times as many.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from boomerang.service.catalog import Catalog
from boomerang.service.records import Fact, NewWant, StudentState
from tests.databases import new_database
from tests.workers.world import MOST, REFUSED, World, ladder, new_family, new_student

TIMES = int(os.environ.get("BOOMERANG_TEST_INTERLEAVINGS", "1"))

KEYS = st.sampled_from(["a" * 32, "b" * 32])
ORDERS = st.sampled_from(["last", "first"])
WANTS = st.lists(
    st.sampled_from(
        [
            NewWant(kind="build", what="*"),
            NewWant(kind="build", what="1.00K"),
            NewWant(kind="publish", what="2.00K", options={"repo": "me/model"}),
        ]
    ),
    max_size=2,
    unique_by=lambda want: (want.kind, want.what),
)
ANY = st.integers(0, 1 << 20)
HOW = st.sampled_from(["on", "on", "on", "on", "stop", "away", "died", "error"])


class Interleavings(RuleBasedStateMachine):
    """Everything that can happen to a catalog, in any order."""

    def __init__(self, open_catalog: Callable[[], Catalog]) -> None:
        super().__init__()
        self.world = World(open_catalog())
        self.catalog = self.world.catalog
        self.ready: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.seen = 0
        self.told: dict[tuple[object, ...], str] = {}

    # What people ask for.

    @rule(key=KEYS, order=ORDERS, wants=WANTS, twice=st.booleans())
    def request(self, key: str, order: str, wants: list[NewWant], twice: bool) -> None:
        for _ in range(1 + twice):
            made = self.catalog.create_family(
                new_family(key, order), new_student(key), ladder(key), wants
            )
            self.world.outbox.start(made)
            self.cancelled.discard(made.family.student)
        assert made.next is None or not twice

    @rule(pick=ANY, wants=WANTS)
    @precondition(lambda self: self.catalog.families())
    def ask_for_more(self, pick: int, wants: list[NewWant]) -> None:
        self.world.outbox.start(self.catalog.add_wants(self._family(pick), wants))

    @rule(pick=ANY, force=st.sampled_from([False, False, True]))
    @precondition(lambda self: 0 < len(self.catalog.families()) < 6)
    def rebuild(self, pick: int, force: bool) -> None:
        made = self.catalog.rebuild(self._family(pick), force=force)
        self.world.outbox.start(made)
        self.cancelled.discard(made.family.student)

    @rule(pick=ANY)
    @precondition(lambda self: self.catalog.families())
    def cancel(self, pick: int) -> None:
        family = self._family(pick)
        self.catalog.cancel(family)
        self.cancelled |= {family, self.catalog.family(family).student}

    @rule(pick=ANY)
    @precondition(lambda self: self.catalog.families())
    def delete(self, pick: int) -> None:
        family = self._family(pick)
        self.cancelled.add(self.catalog.family(family).student)
        self.world.outbox.sweep(self.catalog.delete_family(family))
        self.told = {key: state for key, state in self.told.items() if family not in key}

    def _family(self, pick: int) -> str:
        families = sorted(family.id for family in self.catalog.families())
        return families[pick % len(families)]

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

    @rule(pick=ANY, how=HOW, times=st.integers(1, 6))
    @precondition(lambda self: self.world.workers)
    def work(self, pick: int, how: Any, times: int) -> None:
        worker = self.world.workers[pick % len(self.world.workers)]
        for _ in range(times):
            if worker in self.world.workers:
                self.world.step(worker, how)

    @rule(pick=ANY)
    @precondition(lambda self: self.world.workers)
    def kill(self, pick: int) -> None:
        self.world.kill(self.world.workers[pick % len(self.world.workers)])

    @rule(pick=ANY)
    @precondition(lambda self: any(not w.stalled for w in self.world.workers))
    def stall(self, pick: int) -> None:
        awake = [worker for worker in self.world.workers if not worker.stalled]
        self.world.stall(awake[pick % len(awake)])

    @rule(seconds=st.sampled_from([1.0, 10.0, 40.0, 400.0]))
    def tick(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule(pick=ANY)
    @precondition(lambda self: self.ready)
    def damage(self, pick: int) -> None:
        key = sorted(self.ready)[pick % len(self.ready)]
        if key in self.world.students:
            self.world.damaged[key] = 1

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

    def _ready_stays_ready(self) -> None:
        world = self.world
        for student in self.catalog.students():
            if student.state is StudentState.READY:
                self.ready[student.key] = world.students[student.key]
            elif student.key in self.ready:
                # Only damage takes it back, and what is damaged is kept.
                assert self.ready.pop(student.key) in world.set_aside, student
        assert set(self.ready) <= {student.key for student in self.catalog.students()}

    def _there_is_what_is_said(self) -> None:
        for family in self.catalog.families():
            for member in self.catalog.members(family.id):
                if member.built is Fact.YES:
                    assert member.digest in self.world.members, member

    def _every_change_was_told(self) -> None:
        for event in self.catalog.events_after(self.seen):
            assert event.id > self.seen
            self.seen = event.id
            if event.kind == "student":
                self.told["student", event.student] = event.payload["state"]
            elif event.kind == "want":
                self.told["want", event.family, event.payload["id"]] = event.payload["state"]
            elif event.kind == "measuring":
                self.told["measuring", event.family] = event.payload["state"]
        for student in self.catalog.students():
            assert self.told["student", student.key] == student.state
        for family in self.catalog.families():
            assert self.told.get(("measuring", family.id), "no") == family.measuring
            for want in self.catalog.wants(family.id):
                assert self.told["want", family.id, want.id] == want.state

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.catalog.close()

    def _end(self) -> None:
        world = self.world
        world.settle_down()
        self.promises()
        for student in self.catalog.students():
            made = world.trained[student.key]
            assert made <= 1 + len(world.set_aside), f"{student.key} was distilled {made} times"
            if student.state is not StudentState.READY:
                self._given_up(f"student:{student.key}", student.key, student.reason)
        for family in self.catalog.families():
            if self.catalog.student(family.student).state is not StudentState.READY:
                continue
            if family.measuring is not Fact.YES:
                self._given_up(f"family:{family.id}", family.id, family.measuring_reason)
            members = {member.k: member for member in self.catalog.members(family.id)}
            made = world.students[family.student]
            for member in members.values():
                if member.measured is Fact.YES:
                    assert member.perplexity == made, "measured of other bytes"
                if member.built is Fact.YES:
                    assert world.members[member.digest] == made, "built of other bytes"
            for want in self.catalog.wants(family.id):
                if want.state is Fact.FAILED:
                    assert want.reason
                    cancelled = family.id in self.cancelled and "cancelled" in want.reason
                    if not cancelled:
                        self._want_given_up(want.kind, want.reason, members.values())
                elif want.state is Fact.YES:
                    fact = "built" if want.kind == "build" else "published"
                    asked = [m for m in members.values() if want.what in ("*", m.size)]
                    assert all(getattr(m, fact) is Fact.YES for m in asked), want

    def _given_up(self, subject: str, name: str, reason: str | None) -> None:
        """Something was not done: because a step said so, or it was tried often enough."""
        assert reason
        assert (
            (name in self.cancelled and "cancelled" in reason)
            or (name in self.world.errors and reason == REFUSED)
            or self.world.losses[subject] >= MOST
        ), (subject, reason)

    def _want_given_up(self, kind: str, reason: str, members: Any) -> None:
        subjects = {f"{kind}:{member.digest}" for member in members}
        lost = any(self.world.losses[subject] >= MOST for subject in subjects)
        refused = bool(subjects & self.world.errors)
        assert lost or refused or "not ready" in reason or "gone from" in reason, reason


def _profile(examples: int) -> settings:
    return settings(
        max_examples=examples * TIMES,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(300 * TIMES)
def test_interleavings_on_sqlite() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def opened() -> Catalog:
            for old in Path(folder).iterdir():
                old.unlink()
            return Catalog(f"sqlite:///{folder}/catalog.sqlite")

        run_state_machine_as_test(lambda: Interleavings(opened), settings=_profile(25))  # type: ignore[no-untyped-call]


@pytest.mark.timeout(300 * TIMES)
def test_interleavings_on_postgresql(postgres: str) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Interleavings(lambda: Catalog(new_database(postgres))), settings=_profile(4)
    )
