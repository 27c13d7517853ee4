"""Settling a family: its order is chosen, its members are measured, its requests are sent."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boomerang.catalog.keys.turns import Turn
from boomerang.catalog.records.families import Family, has_result
from boomerang.catalog.records.states import Fact, LostLease, StudentState
from boomerang.catalog.records.students import Student
from boomerang.catalog.setbacks import Setback
from boomerang.catalog.stores.members import MEASURES
from boomerang.errors import FamilyNotFound
from boomerang.family.order_forms import PatchOrder, named_order
from boomerang.family.pair import Pair
from boomerang.service.models.members import ladder_members
from boomerang.texts.datasets import SCHEME
from boomerang.texts.task_names import harness_version
from boomerang.texts.texts import locations
from workers.context import Context
from workers.devices.charging import charged
from workers.devices.turns import family_turn
from workers.leases import End, Holding
from workers.models.folders import check_pair, fetch_student, fetch_teacher
from workers.models.plans import check
from workers.outages import SETBACKS, patiently, said, setback
from workers.settle import settle

log = logging.getLogger("boomerang.workers")

NO_TEXTS = "there are no texts to measure with"


def measure(context: Context, family_id: str) -> str:
    """Choose a family's patch order and measure its members; return what was done, in a word.

    It is the family whose turn it is (catalog/keys/turns.py): this one where nothing else waits.
    Without texts, or where measuring fails, the order `auto` becomes `last` and the members stay
    unmeasured; only `klpatch`, which is a measurement, cannot do without.
    """
    if context.stopping.is_set():
        return "stopping"
    with family_turn(context, family_id) as taken:
        turn, held = taken
        return turn.said if held is None else _taken(context, turn, held)


def _taken(context: Context, turn: Turn, held: Holding) -> str:
    catalog, family_id = context.catalog, turn.subject
    family = catalog.family(family_id)
    student = catalog.student(family.student)
    if student.state is not StudentState.READY:
        return "not ready"
    if family.settled:
        return "already settled"
    if family.cancel:
        return _ended(context, family_id, held, End.CANCELLED)
    with charged(context, turn.owner, 1):
        try:
            return _Measuring(context, family, student, held).work()
        except LostLease:
            return "lost"
        except Exception as error:
            if held.end is not None:
                return _ended(context, family_id, held, held.end)
            reason, kind = said(error), setback(error, f"family {family_id}")
            if kind is not None and _again(context, family_id, held, kind, reason):
                return "again"
            catalog.set_measuring(family_id, Fact.FAILED, reason, lease=held.lease)
            return "failed"


def _ended(context: Context, family_id: str, held: Holding, end: End) -> str:
    try:
        if end is End.CANCELLED:
            context.catalog.measure_cancelled(family_id, str(end), lease=held.lease)
        elif end is End.STOPPING:
            context.catalog.measure_resend(family_id, str(end), lease=held.lease)
    except FamilyNotFound:
        return "deleted"
    return end.name.lower()


def _again(context: Context, family: str, held: Holding, kind: Setback, reason: str) -> bool:
    again, limits = context.catalog.measure_again, context.settings.limits
    return patiently(held)(again, family, kind, reason, limits, lease=held.lease)


class _Measuring:
    """One measuring of one family."""

    def __init__(self, context: Context, family: Family, student: Student, held: Holding) -> None:
        self.context, self.family, self.student, self.held = context, family, student, held
        self.settings, self.catalog = context.settings, context.catalog
        data = student.data or (str(self.settings.data) if self.settings.data else None)
        there = (one.startswith(SCHEME) or Path(one).exists() for one in locations(data or ""))
        self.data = data if data and all(there) else None
        self.measured: dict[int, str] = {}
        self.note: str | None = None
        self.results = self.catalog.task_results(student.key) if family.tasks else {}

    def work(self) -> str:
        teacher = fetch_teacher(self.context, self.student, self.held)
        folder = fetch_student(self.context, self.student, self.held)
        self.pair: Pair = check_pair(self.context, self.student, teacher, folder)
        named = named_order(self.pair.layermap, self.family.order)
        if named is not None:
            self._settle_order(self.family.order, named)
        if self.pair.teacher.architecture.masked:
            return self._without("masked language models are not measured", Fact.NO)
        order = self._settled_order(named)
        if self.data is None and (order is None or not self.family.tasks):
            return self._without(NO_TEXTS, Fact.NO)
        self.catalog.set_measuring(self.family.id, Fact.RUNNING, lease=self.held.lease)
        searched = self.family.order if self.family.order in ("klpatch", "best") else "auto"
        job = {
            "teacher": str(teacher),
            "student": str(folder),
            "data": self.data or "",
            "order": searched if order is None else list(order),
            "sequence_length": int(self.student.recipe.get("sequence_length") or 256),
            "naive": True,
            "kept": list(self.student.kept),
            "tasks": self._asked(),
            "tasks_only": self.data is None or self._only_tasks(),
        }
        arguments = self.settings.measurer or (sys.executable, "-m", "boomerang.quality")
        run_folder = self.settings.run_folder(self.student.key) / f"measure-{self.family.id}"
        outcome = self.held.run(
            arguments, job, run_folder, lambda event: patiently(self.held)(self._on_event, event)
        )
        if self.held.end is not None and not outcome.done:
            return _ended(self.context, self.family.id, self.held, self.held.end)
        if outcome.reason is not None:
            kind = SETBACKS.get(outcome.ending)
            told = self.context, self.family.id, self.held
            if kind is not None and _again(*told, kind, outcome.reason):
                return "again"
            return self._without(outcome.reason, Fact.FAILED)
        if self.data is None:
            found = self._without(NO_TEXTS, Fact.NO)
        else:
            self.catalog.set_measuring(self.family.id, Fact.YES, self.note, lease=self.held.lease)
            self._send()
            found = "measured"
        if self.catalog.family(self.family.id).tasks != self.family.tasks:
            # Asked for meanwhile: whoever did saw that measuring was under way, and sent nothing.
            self.catalog.measure_resend(self.family.id, "more tasks", lease=self.held.lease)
        return found

    def _settled_order(self, named: PatchOrder | None) -> PatchOrder | None:
        """The order in full; None where only measuring can find it.

        An order that was found once stands. Without texts `auto` and `best` become `last`.
        """
        if named is not None:
            return named
        if self._only_tasks() or self._was_found():
            members = self.catalog.members(self.family.id)
            self.measured = {member.k: member.code for member in members}
            self._share()
            return self.family.patch_order
        if self.data is None and self.family.order != "klpatch" and self.family.tasks:
            last = named_order(self.pair.layermap, "last") or ()
            self._settle_order("last", last)
            return last
        return None

    def _was_found(self) -> bool:
        """Whether a measuring before this one found the order, and was ended before it was done.

        `last` is what stands where none was found; it costs nothing to find again.
        """
        members = self.catalog.members(self.family.id)
        some = any(member.measured is Fact.YES for member in members)
        return self.family.patch_order is not None and some and self.family.chosen != "last"

    def _only_tasks(self) -> bool:
        """Whether every member is measured, and a task is lacking."""
        members = self.catalog.members(self.family.id)
        measured = all(member.measured is Fact.YES for member in members)
        lacking = any(
            not has_result(member.tasks, name, limit)
            for member in members
            for name, limit in (self.family.tasks or {}).items()
        )
        return self.family.patch_order is not None and measured and lacking

    def _asked(self) -> list[dict[str, Any]]:
        """The tasks for a job, each with the compositions whose result is known."""
        return [
            {
                "name": name,
                "limit": limit,
                "known": sorted(c for c, has in self.results.items() if self._is(has, name, limit)),
            }
            for name, limit in (self.family.tasks or {}).items()
        ]

    def _is(self, results: Mapping[str, Any], name: str, limit: int | None) -> bool:
        return has_result(results, name, limit, harness_version() or "none")

    def _share(self) -> None:
        """Give the members what is known of their compositions from other families."""
        for k, code in self.measured.items():
            own = self.catalog.member(self.family.id, k).tasks
            for name, limit in (self.family.tasks or {}).items():
                known = self.results.get(code, {})
                if self._is(known, name, limit) and not self._is(own or {}, name, limit):
                    result = known[name]
                    self.catalog.set_task(self.family.id, k, result, lease=self.held.lease)

    def _settle_order(
        self, chosen: str, order: PatchOrder, calibration: dict[str, Any] | None = None
    ) -> None:
        members = ladder_members(self.pair, order, self.family.commit, self.family.student)
        self.catalog.set_members(
            self.family.id,
            members,
            patch_order=order,
            chosen=chosen,
            calibration_kl=calibration,
            lease=self.held.lease,
        )
        self.measured = {member.k: member.code for member in members}
        self._share()

    def _without(self, reason: str, state: Fact) -> str:
        """Go on without measures where the order allows it."""
        if not self.measured and self.family.order == "klpatch":
            self.catalog.set_measuring(self.family.id, Fact.FAILED, reason, lease=self.held.lease)
            for request in self.catalog.requests(self.family.id):
                if request.state is not Fact.YES:
                    self.catalog.set_request(request.id, Fact.FAILED, f"no order: {reason}")
            return "failed"
        if not self.measured:
            self._settle_order("last", named_order(self.pair.layermap, "last") or ())
        self.catalog.set_measuring(self.family.id, state, reason, lease=self.held.lease)
        self._send()
        return "failed" if state is Fact.FAILED else "not measured"

    def _send(self) -> None:
        """Send what was asked for, once whoever builds it need not check it with torch."""
        if self.context.apart.is_set():
            check(self.context, self.family.id, self.pair)
        settle(self.context, self.family.id)

    def _on_event(self, event: dict[str, Any]) -> None:
        if event["event"] == "choosing":
            spent, of = event["spent"], event["of"]
            self._say(f"choosing the order: {spent:.0f} of at most {of:.0f} measurements")
        elif event["event"] == "measuring":
            self._say(f"measuring, so far {event['tokens']:,} of {event['of']:,} tokens")
        elif event["event"] == "writing":
            self._say(f"what sizes write: {event['written']} of {event['of']}")
        elif event["event"] == "order":
            self.note = event.get("note")
            if not self.measured:
                order = tuple(event["patch_order"])
                self._settle_order(str(event["order"]), order, event.get("calibration_kl"))
            self._say("measuring on held-out text")
        elif event["event"] == "task" and event["k"] in self.measured:
            result = {name: value for name, value in event.items() if name not in ("event", "k")}
            k = int(event["k"])
            self.catalog.set_task(self.family.id, k, result, lease=self.held.lease)
        elif event["event"] in ("early", "member") and event["k"] in self.measured:
            self._on_member(int(event["k"]), event)

    def _on_member(self, k: int, event: dict[str, Any]) -> None:
        """Keep a member's figures; those of a part of the text until it is measured."""
        values = {name: event.get(name) for name in MEASURES}
        state, reason = Fact.YES, None
        if event["event"] == "early":
            if self.catalog.member(self.family.id, k).measured is Fact.YES:
                return
            state, reason = Fact.NO, f"so far {event['tokens']:,} of {event['of']:,} tokens"
        self.catalog.set_fact(
            self.family.id, k, "measured", state, reason, lease=self.held.lease, **values
        )

    def _say(self, what: str) -> None:
        """How far measuring is, for whoever looks at the family."""
        self.catalog.set_measuring(self.family.id, Fact.RUNNING, what, lease=self.held.lease)
