"""Which layers of a teacher a student keeps, found by measuring: one function, and the rules.

A rule is a function of the teacher's folder, the text and the recipe; it keeps as many layers as
the recipe's own map, so that the ladder of sizes, which was planned without weights, is seldom
much of another one.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRecipe, BoomerangError, StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.processes.reporting import JobFile, Reporter
from boomerang.quality.choosing.divergence import divergence_map
from boomerang.quality.choosing.similarity import NotFinite, similarity_map
from boomerang.recipes.maps import MapRule
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.windows import TooShort

Tick = Callable[[int, int], None]
"""Told how much of the measuring is done, of how much."""
Rule = Callable[[Path, Texts, Recipe, Tick], LayerMap]
RULES: Mapping[str, Rule] = {"similarity": similarity_map, "divergence": divergence_map}
"""The rules that measure, by the names that recipes have for them (`boomerang.recipes.maps`)."""
SAID_EVERY = 2.0
"""Seconds between two events that only say how far the measuring is."""
_IMPOSSIBLE: tuple[type[BoomerangError], ...] = (TooShort, StudentMismatch, NotFinite)
"""What a rule says where it has no map; the published one does then."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The layers to keep; `reason` says why they are the published ones, where no rule was able."""

    layermap: LayerMap
    reason: str | None = None


def measured_map(
    rule: str, folder: Path, texts: Texts, recipe: Recipe, report: Reporter
) -> Measured:
    """The layers that a student keeps of the teacher in a folder, by a rule.

    How far it is are events `mapping`. With too little calibration text, where each kind of layer
    cannot be kept, for a teacher whose states are not finite, and where memory is too little, it is
    the recipe's own map, with the reason. Raises BadRecipe for a rule that is none or text that is
    not what it says, Stopped where the process was told to stop, and as `load`.
    """
    if rule not in RULES:
        raise BadRecipe(
            f"There is no rule {rule!r} for the layers to keep.",
            value=rule,
            fix=f"The rules that measure are {', '.join(RULES)}.",
        )
    own = recipe.layermap(dissect(Checkpoint.open(folder)).kinds)

    try:
        return Measured(RULES[rule](folder, texts, recipe, _Mapping(rule, report)))
    except _IMPOSSIBLE as error:
        why = error.detail
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "out of memory" not in str(error).lower():
            raise
        # Training may share a teacher out among devices, or keep less of it.
        why = "There is too little memory to measure the teacher on one device."
    return Measured(own, f"{why} The published layers are kept.")


class _Mapping:
    """Says every few seconds how far the measuring is, and when all is done."""

    def __init__(self, rule: str, report: Reporter) -> None:
        self.rule, self.report, self.said = rule, report, 0.0

    def __call__(self, done: int, of: int) -> None:
        self.report.check()
        now = time.monotonic()
        if of and (done == of or now - self.said >= SAID_EVERY):
            self.said = now
            self.report("mapping", rule=self.rule, done=done, of=of)


class MapJob(JobFile):
    """To measure which layers of a teacher its student keeps; `data` as of other jobs."""

    title: ClassVar[str] = "job for a layer map"

    teacher: Path
    data: str
    rule: MapRule
    recipe: dict[str, Any]


def run_map(job: MapJob, report: Reporter) -> None:
    """Measure, and report the event `map`: `rule`, `kept`, `layers`, `reason`.

    Raises as `measured_map`.
    """
    recipe, texts = Recipe.stored(job.recipe), Texts.open(job.data)
    found = measured_map(job.rule, job.teacher, texts, recipe, report)
    kept, layers = [*found.layermap.kept], found.layermap.layers
    report("map", rule=job.rule, kept=kept, layers=layers, reason=found.reason)
    report("done")
