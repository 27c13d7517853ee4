"""What must be so in any interleaving.

Held after every step: what is ready stays ready, what is said to be there is there, every change
of state is a legal one, nobody's word counts after somebody took over, and nobody's student ends
who waits for it. Held once nothing more goes wrong: everything that was asked for is there or was
given up for a reason that a step gave, and nothing was distilled, built or uploaded twice.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Member, has_result
from boomerang.catalog.records.states import Fact, Keying, StudentState
from boomerang.catalog.transitions import FACTS, REQUEST, STUDENT, Moves
from tests.interleavings.world import MOST, REFUSED, World


class Promises(RuleBasedStateMachine):
    """A catalog in a world, and what it promises."""

    def __init__(self, open_catalog: Callable[[], Catalog], home: Path) -> None:
        super().__init__()
        self.world = World(open_catalog(), home)
        self.catalog = self.world.catalog
        self.ready: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.seen, self.deleted = 0, 0
        self.told: dict[tuple[object, ...], str] = {}

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
                if made is None:
                    # What was damaged has just been set aside, and will be looked after.
                    assert student.verify, student
                    assert self.ready.get(student.key) in {None, *self.world.set_aside(student.key)}
                else:
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
                self._told(REQUEST, said["state"], "want", event.family, said["id"])
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
        requests = self.catalog.all_requests()
        for family in self.catalog.families():
            assert self.told.get(("measuring", family.id), "no") == family.measuring
            for request in requests.get(family.id, ()):
                assert self.told["want", family.id, request.id] == request.state

    def _told(
        self, moves: Moves, state: str, *key: object, first: str = "", said: Any = None
    ) -> None:
        before = self.told.get(key)
        if said is not None and said["reason"] == "cancelling":
            return
        if before is not None or key[0] not in FACTS:
            assert state in moves.get(before or first, {}), (
                f"{key} was {before}, and became {state}"
            )
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
            # Each that is gone, and comes back, is on the others' cards.
            most = 1 + world.losses[subject] + sum(world.gone.values()) + self.deleted
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
        for rebuild in self.catalog.rebuilds(id_):
            assert (rebuild.state is Fact.YES) is (rebuild.reason is None), rebuild
        for member in members:
            if member.measured is Fact.YES:
                assert member.perplexity == float(made), "measured of other bytes"
            if member.built is Fact.YES:
                assert self.world.built_of(member.digest) == made, "built of other bytes"
        for request in self.catalog.requests(id_):
            if request.state is Fact.FAILED:
                assert request.reason
                if not (id_ in self.cancelled and "cancelled" in request.reason):
                    self._want_given_up(id_, request.kind, request.reason, members)
            elif request.state is Fact.YES:
                fact = "built" if request.kind == "build" else "published"
                asked = [m for m in members if request.what in ("*", m.size)]
                assert all(getattr(m, fact) is Fact.YES for m in asked), request

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
