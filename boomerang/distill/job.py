"""What the trainer is told: one job file."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from boomerang.family.layer_map import LayerMap
from boomerang.processes.reporting import JobFile
from boomerang.recipes.recipe import TRAINER_VERSION, Recipe


class Delta(BaseModel):
    """Instead of training: the base of the teacher, and the student that was made of the base.

    `reference`, where there is one, is a student distilled from the teacher itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Path
    base_name: str
    base_commit: str
    student: Path
    student_key: str
    reference: Path | None = None


class Heal(BaseModel):
    """What training begins with: a member of the teacher's family, instead of its kept layers.

    `code` is the member's composition of the teacher and the `student` of that family, whose layer
    map is `kept` where it does not say so itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    student: Path
    student_key: str
    code: str
    size: str | None = None
    kept: list[int] | None = None

    def record(self) -> dict[str, Any]:
        """What is written beside the healed model of where it came from."""
        return self.model_dump(include={"student_key", "code", "size"})


class Placement(StrEnum):
    """What each of many devices holds of teacher and student."""

    REPLICAS = "replicas"
    """All of both."""
    SHARDS = "shards"
    """A share of each layer."""


class DistillJob(JobFile):
    """One distillation: where everything is, and the recipe's fields.

    `data` is a folder or file of text, or what names a dataset of the Hub (`texts.py`). `kept`
    None leaves the layer map to the recipe, which must not be one to measure (a member that is to
    `heal` has its own), `seed` None its seed, `micro_batch` the recipe's (fewer sequences at a
    time, where memory ran out before, change no number), `placement` to the estimate of memory what
    each of many devices holds (`sharding.py`). `run` holds the checkpoint, the tokenised text and a
    lock; `out` appears when the student is whole.
    """

    title: ClassVar[str] = "job for the trainer"

    teacher: Path
    teacher_name: str
    teacher_commit: str
    out: Path
    run: Path
    recipe: dict[str, Any] = Field(default_factory=dict)
    data: str | None = None
    delta: Delta | None = None
    heal: Heal | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    kept: list[int] | None = None
    key: str
    micro_batch: Annotated[int, Field(ge=1)] | None = None
    placement: Placement | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 120.0
    report_seconds: Annotated[float, Field(ge=0)] = 1.0

    def parsed_recipe(self, recipes: type[Recipe] = Recipe) -> Recipe:
        """The recipe, of a kind of recipes, with the job's seed. Raises BadRecipe."""
        recipe = recipes.stored(self.recipe)
        return recipe if self.seed is None else recipe.override(seed=self.seed)

    def record(self, layermap: LayerMap) -> dict[str, Any]:
        """What is written beside the student (boomerang.json) of where it came from."""
        return {
            "version": 1,
            "key": self.key,
            "teacher": self.teacher_name,
            "teacher_commit": self.teacher_commit,
            "kept": list(layermap.kept),
            "layers": layermap.layers,
            "trainer_version": TRAINER_VERSION,
        }

    def identity(self, recipe: Recipe, kept: tuple[int, ...], data: str) -> str:
        """What a checkpoint must be of, so that a run can go on from it."""
        return json.dumps([self.key, self.teacher_commit, recipe.digest(), kept, data])
