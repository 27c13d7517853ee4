"""Which layers a student keeps: measured once, by a process of its own, and pinned."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.catalog.records.families import Family, NewMember
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.processes.json_lines import Ending, Outcome
from boomerang.recipes.recipe import Recipe
from boomerang.service.models.members import ladder_of, records_of
from workers.context import Context
from workers.leases import Holding
from workers.outages import patiently


def with_layers(
    context: Context, student: Student, teacher: Path, held: Holding
) -> tuple[Student, Outcome]:
    """A student whose layers are known: measured first, where nobody has, and pinned.

    Of two workers that measure something else, what was pinned first stands. The outcome is of the
    measuring, where it did not find any. Raises LostLease, and as `Checkpoint.open`.
    """
    if not student.provisional:
        return student, Outcome(Ending.DONE)
    settings, found = context.settings, dict[str, Any]()

    def told(event: dict[str, Any]) -> None:
        values = {name: value for name, value in event.items() if name != "event"}
        if event["event"] == "mapping":
            note = context.catalog.student_note
            patiently(held)(note, student.key, "mapping", values, lease=held.lease)
        elif event["event"] == "map":
            found.update(values)

    job = {
        "teacher": str(teacher),
        "data": student.data or str(settings.data or ""),
        "rule": student.map_rule,
        "recipe": student.recipe,
    }
    command = settings.measurer or (sys.executable, "-m", "boomerang.quality")
    outcome = held.run(command, job, settings.run_folder(student.key) / "map", told)
    if outcome.done and not found:
        outcome = Outcome(Ending.REFUSED, reason="it did not say which layers to keep")
    if not outcome.done:
        # Fewer sequences at a time are of no use here.
        return student, replace(outcome, starved=False)
    checkpoint = Checkpoint.open(teacher)
    return pinned(context, student, checkpoint, held, found["kept"], found["reason"]), outcome


def pinned(
    context: Context, student: Student, teacher: Checkpoint, held: Holding, kept: Iterable[int],
    reason: str | None,
) -> Student:  # fmt: skip
    """A student whose layers are known, with the ladders of its families made anew.

    What was pinned first stands. Raises LostLease.
    """
    layermap = LayerMap.from_kept(kept, student.layers)
    anatomy = dissect(teacher)
    frozen = Recipe.stored(student.recipe).freezes(anatomy.tied)
    pair = Pair.planned(anatomy.checkpoint, layermap, frozen=frozen)

    def ladder(family: Family) -> Sequence[NewMember]:
        return records_of(ladder_of(pair, family.order), family.commit, family.student)

    pin = context.catalog.pin_map
    return patiently(held)(pin, student.key, layermap.kept, reason, ladder, lease=held.lease)
