"""What the shipped recipes were before: students that were made with one cost hours, and stay.

A request that names a recipe and nothing more is for the student that there is.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from boomerang.errors import StudentMismatch
from boomerang.recipes.maps import PUBLISHED
from boomerang.recipes.recipe import Recipe

BEFORE: Mapping[str, Mapping[str, Any]] = {
    "default": {"patch_probability": 0.8, "patch_after": 0.1, "patch_fade": 0.0},
    "kjv": {"kept": (0, 1, 3, 5, 7, 8, 10)},
    "instruct": {
        "ce_weight": 1.0, "kl_weight": 0.1, "cosine_weight": 10.0,
        "patch_probability": 0.0, "patch_fade": 0.0,
    },
}  # fmt: skip
"""By name the fields that had other values, beside the published map."""


def former(recipe: Recipe, kinds: Sequence[Hashable] = ()) -> tuple[Recipe, ...]:
    """What a recipe that measures its layers may have been before, newest first.

    Itself with the published layers; of a shipped one, too, with what it said then. Where a
    request says otherwise than the shipped recipe of today, its own value stays. One that listed
    layers was never for a teacher whose layers, of these `kinds`, are others.
    """
    before = [recipe.override(map=PUBLISHED)]
    fields = BEFORE.get(recipe.name)
    if fields is not None:
        today = Recipe.load(recipe.name)
        same = {
            name: value
            for name, value in fields.items()
            if name == "kept" or getattr(recipe, name) == getattr(today, name)
        }
        before.append(before[0].override(**same))
    return tuple(one for one in before if not kinds or _fits(one, kinds))


def _fits(recipe: Recipe, kinds: Sequence[Hashable]) -> bool:
    try:
        recipe.layermap(kinds)
    except StudentMismatch:
        return False
    return True
