"""Students that no recipe of the product makes: how sets are drawn, and layers from random weights.

`python -m benchmarks.recipes.ablation JOB.json` is the trainer, for recipes with these fields too.
"""

import random
import sys
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field

from boomerang.distill.__main__ import main
from boomerang.distill.learner import Learner
from boomerang.distill.parallel.launch import leave
from boomerang.distill.passes import ENDS, patched, set_of
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.modules.causal import Causal
from boomerang.recipes.recipe import Recipe


class Ablation(Recipe):
    """A recipe, and what is compared with it.

    How many blocks a pass has patched is drawn by `patch_sizes`: each number as often, or "few"
    ("many") the more often the smaller (larger) it is. `patch_ends` of these sets are a prefix or
    a suffix of the layers, the rest any set. Layers begin at `initialisation`.
    """

    later: ClassVar[dict[str, Any]] = {
        **Recipe.later, "initialisation": "teacher", "patch_sizes": "uniform", "patch_ends": ENDS,
    }  # fmt: skip

    patch_sizes: Literal["uniform", "few", "many"] = "uniform"
    patch_ends: Annotated[float, Field(ge=0, le=1)] = ENDS
    initialisation: Literal["teacher", "random"] = "teacher"


class AblationLearner(Learner):
    """Learns by an Ablation."""

    recipes: ClassVar[type[Recipe]] = Ablation

    def __post_init__(self) -> None:
        if isinstance(self.recipe, Ablation) and self.recipe.initialisation == "random":
            forget(self.couple.student, self.recipe.seed)
        super().__post_init__()

    def member(self, step: int, steps: int, part: int) -> Composition:
        """As that of Learner."""
        if not isinstance(self.recipe, Ablation):
            return super().member(step, steps, part)
        return drawn(self.recipe, self.couple.layermap, step, steps, part)


def drawn(recipe: Ablation, layermap: LayerMap, step: int, steps: int, part: int) -> Composition:
    """As `member_for`."""
    draw = patched(recipe, step, steps, part)
    return Composition.patched(layermap, _set(recipe, layermap.long, draw) if draw else ())


def _set(recipe: Ablation, long: Sequence[int], draw: random.Random) -> frozenset[int]:
    if len(long) < 2:
        return frozenset()
    return set_of(_size(recipe, len(long) - 1, draw), long, recipe.patch_ends, draw)


def _size(recipe: Ablation, most: int, draw: random.Random) -> int:
    if recipe.patch_sizes == "uniform":
        return draw.randrange(1, most + 1)
    # The least of two equal draws: the number n is drawn 2·(most − n) + 1 times in most².
    few = min(draw.randrange(1, most + 1), draw.randrange(1, most + 1))
    return few if recipe.patch_sizes == "few" else most + 1 - few


def forget(student: Causal, seed: int) -> None:
    """Give the layers the random weights that their architecture begins with, drawn by `seed`.

    What is outside the layers stays the teacher's. Shows what beginning with the teacher's layers
    is worth (arXiv 2510.05064, section 4).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in student.layers:
            for part in (*layer.modules(), *layer.parameters()):
                # What was loaded is marked, and would be left as it is.
                setattr(part, "_is_hf_initialized", False)  # noqa: B010
            layer.apply(student.model._init_weights)


if __name__ == "__main__":
    leave(main(sys.argv[1:], AblationLearner))
