"""What is made of one teacher with one seed: students, and the figures of their families."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.quality.students import distilled
from benchmarks.recipes.cost import costs
from benchmarks.teachers.trainer import BFLOAT16
from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.processes.reporting import Reporter
from boomerang.quality.choosing.cuts import LONGEST, cheapest
from boomerang.quality.choosing.divergence import divergences
from boomerang.quality.choosing.maps import measured_map
from boomerang.quality.choosing.orders import CALIBRATION, WINDOW, choose
from boomerang.quality.measure import Quality, measure
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import first_windows

TRAINER = "benchmarks.teachers.trainer"
RECIPES = ("published", "default")
SHAPE = (
    "steps", "batch_tokens", "sequence_length", "micro_batch", "learning_rate", "warmup",
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A teacher, its text, and the shape of the runs (teachers.toml)."""

    name: str
    teacher: Path
    data: Path
    seeds: tuple[int, ...]
    own: tuple[int, ...]
    heldout: int
    shape: Mapping[str, Any]
    bfloat16: bool = False
    calibration: int = CALIBRATION

    @classmethod
    def read(cls, name: str, told: Mapping[str, Any]) -> "Subject":
        """From what the file says of one teacher."""
        shape = {key: told[key] for key in SHAPE}
        paths = Path(told["teacher"]), Path(told["data"])
        counts = tuple(told["seeds"]), tuple(told["own"]), int(told["heldout"])
        choosing = int(told.get("calibration", CALIBRATION))
        return cls(name, *paths, *counts, shape, bool(told.get("bfloat16")), choosing)

    def recipe(self, name: str, **fields: Any) -> Recipe:
        """A shipped recipe in this shape."""
        return Recipe.load(name).override(**{**self.shape, "minutes": None, **fields})

    def layermap(self, recipe: Recipe) -> LayerMap:
        """The layers that the recipe keeps of this teacher, measured where it measures."""
        if not recipe.measures:
            return recipe.layermap(dissect(Checkpoint.open(self.teacher)).kinds)
        texts, report = Texts.open(self.data), Reporter(speaks=False)
        return measured_map(recipe.map, self.teacher, texts, recipe, report).layermap

    def mixed(self) -> AbstractContextManager[object]:
        """Products in bfloat16 where training has them: for choosing, which they do not change."""
        return torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext()

    def windows(self, split: Any, tokens: int, length: int) -> Tensor:
        """The first windows of a split: (W, length + 1)."""
        vocabulary = dissect(Checkpoint.open(self.teacher)).head_tensor.shape[0]
        tokeniser = Tokeniser(self.teacher, vocabulary)
        return first_windows(tokeniser, Texts.open(self.data), split, tokens, length)


@dataclass(frozen=True)
class Family:
    """A family's figures on test text, from the student to the teacher."""

    recipe: str
    seed: int
    steps: int
    kept: tuple[int, ...]
    order: str
    codes: tuple[str, ...]
    layers: tuple[int, ...]
    qualities: tuple[Quality, ...]
    folder: Path


def families(subject: Subject, keep: Path, seed: int, split: str) -> list[Family]:
    """One family by each recipe at equal time, each in the order that is best on calibration text.

    The time is counted in processor time of both recipes' passes, timed in turn.
    """
    recipes = {name: subject.recipe(name, seed=seed) for name in RECIPES}
    maps = {name: subject.layermap(recipe) for name, recipe in recipes.items()}
    each = _costs(subject, keep, recipes, maps)
    made = []
    for name, recipe in recipes.items():
        steps = round(subject.shape["steps"] * each[RECIPES[0]] / each[name])
        folder, both = student(subject, keep, recipe.override(steps=steps), maps[name])
        with subject.mixed():
            windows = subject.windows("calibration", subject.calibration, WINDOW)
            chosen = choose(both, windows, "auto")
        members = members_of(both.layermap, chosen.order)
        found = measured(subject, both, members, split)
        codes = tuple(member.code for member in members)
        layers = tuple(len(member.layers) for member in members)
        kept = both.layermap.kept
        figures = codes, layers, tuple(found)
        made.append(Family(name, seed, steps, kept, chosen.name, *figures, folder))
    return made


def own_students(
    subject: Subject, keep: Path, seed: int, split: str, steps: int
) -> dict[int, Quality]:
    """Students that are each distilled for one size, for as many tokens as the family's."""
    found = {}
    windows = subject.windows("calibration", CALIBRATION, WINDOW)
    apart = divergences(load(subject.teacher, dtype=torch.float32), windows, LONGEST)
    for layers in subject.own:
        recipe = subject.recipe("default", seed=seed, steps=steps, patch_probability=0.0)
        # It has no sizes to lose: the cheapest cut of all.
        _, both = student(subject, keep, recipe, cheapest(apart, layers))
        itself = [Composition.patched(both.layermap, ())]
        (found[layers],) = measured(subject, both, itself, split)
    return found


def student(
    subject: Subject, keep: Path, recipe: Recipe, layermap: LayerMap
) -> tuple[Path, Couple]:
    """A student's folder, distilled unless it is there, and the teacher and it."""
    os.environ[BFLOAT16] = "1" if subject.bfloat16 else "0"
    folder = distilled(subject.teacher, subject.data, recipe, layermap, keep, TRAINER)
    models = [load(path, dtype=torch.float32) for path in (subject.teacher, folder)]
    return folder, couple(models[0], models[1], layermap)


def measured(
    subject: Subject, both: Couple, members: Sequence[Composition], split: str
) -> list[Quality]:
    """Members in float32 over the split that is reported.

    Of calibration text what is behind the part that orders are chosen on.
    """
    length = int(subject.shape["sequence_length"])
    before = CALIBRATION if split == "calibration" else 0
    windows = subject.windows(split, before + subject.heldout, length)
    return measure(both, windows[before // length :], members)


def _costs(
    subject: Subject, keep: Path, recipes: Mapping[str, Recipe], maps: Mapping[str, LayerMap]
) -> dict[str, float]:
    """Timed once for each teacher, so that all seeds have the same steps."""
    file = keep / f"costs-{subject.name}.json"
    if not file.exists():
        listed = {name: recipe.override(kept=maps[name].kept) for name, recipe in recipes.items()}
        file.write_text(json.dumps(costs(subject.teacher, subject.data, listed)), "utf-8")
    found: dict[str, float] = json.loads(file.read_text("utf-8"))
    return found
