"""How a member is healed: a recipe, made to fit the one of the family that the member is of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boomerang.recipes.maps import PUBLISHED
from boomerang.recipes.recipe import Recipe

HEAL = "heal"
"""The recipe of that name, and the field of a stored recipe that says what was healed."""

_OF_THE_FAMILY = (
    "batch_tokens", "sequence_length", "micro_batch", "freeze_embeddings", "seed", "optimiser",
    "separate_documents", "phases", "loss_on", "activation_checkpointing",
)  # fmt: skip
"""What goes with a teacher and its text, whatever is trained of it."""


def healing_recipe(
    of: Mapping[str, Any], named: str | Path | Recipe | None = None, steps: int | None = None
) -> Recipe:
    """The recipe that heals a member of a family whose student was made by the recipe `of`.

    It is the one that is `named`; otherwise `heal`, with what goes with teacher and text from `of`,
    and the same part of its learning rate as `heal` has of that of `default`. `of` is empty where
    nobody knows how the student was made. `steps` are instead of the recipe's. Raises BadRecipe.
    """
    if named is None:
        made = Recipe.load(HEAL)
        fields = {name: of[name] for name in _OF_THE_FAMILY if name in of}
        if "learning_rate" in of:
            part = made.learning_rate / Recipe.load("default").learning_rate
            # A family that was healed has a rate for healing already.
            fields["learning_rate"] = of["learning_rate"] * (1 if HEAL in of else part)
        made = made.override(**fields)
    else:
        made = named if isinstance(named, Recipe) else Recipe.load(named)
    # A member has its own layer map, so that none is listed or measured.
    return made.override(map=PUBLISHED, **({} if steps is None else {"steps": steps}))


def without_heal(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe as it is stored with a student, which say what was healed beside."""
    return {name: value for name, value in stored.items() if name != HEAL}
