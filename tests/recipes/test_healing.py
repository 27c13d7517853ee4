"""What heals a member: the recipe of that name, made to fit the family's; and its key."""

from typing import Any

import pytest

from boomerang.errors import BadRecipe
from boomerang.recipes.healing import HEAL, healing_recipe, without_heal
from boomerang.recipes.recipe import Recipe, heal_key


def stored(name: str, **changes: Any) -> dict[str, Any]:
    return Recipe.load(name).model_dump(mode="json") | changes


def test_it_is_plain_and_short_and_follows_the_teacher() -> None:
    heal, default = Recipe.load("heal"), Recipe.load("default")
    assert heal.steps == 200
    assert (heal.patch_probability, heal.kl_weight, heal.ce_weight) == (0, 1.0, 0.1)
    assert (heal.batch_tokens, heal.kept) == (default.batch_tokens, None)
    assert heal.learning_rate < default.learning_rate
    assert healing_recipe({}) == healing_recipe(stored("default")) == heal


def test_it_fits_the_recipe_that_made_the_student() -> None:
    heal, kjv = Recipe.load("heal"), Recipe.load("kjv")
    made = healing_recipe(stored("kjv"), steps=7)
    assert (made.steps, made.kept, made.patch_probability) == (7, None, 0)
    assert (made.batch_tokens, made.sequence_length) == (kjv.batch_tokens, kjv.sequence_length)
    part = heal.learning_rate / Recipe.load("default").learning_rate
    assert made.learning_rate == pytest.approx(part * kjv.learning_rate)
    assert healing_recipe(stored("instruct")).phases == Recipe.load("instruct").phases
    # What was healed has a rate for that already.
    again = healing_recipe({**made.model_dump(mode="json"), HEAL: {"code": "ss+sss"}})
    assert again.learning_rate == made.learning_rate
    # Students that were made without a recipe that is known, by a weight delta for one.
    assert healing_recipe({"delta": {"base": "b"}}) == heal


def test_one_that_is_named_is_taken_as_it_is() -> None:
    made = healing_recipe(stored("kjv"), "smoke", steps=3)
    assert made == Recipe.load("smoke").override(steps=3)
    assert healing_recipe({}, Recipe.load("kjv")).kept is None
    with pytest.raises(BadRecipe, match="no recipe 'none'"):
        healing_recipe({}, "none")


def test_the_key_follows_all_that_makes_it_and_the_stored_recipe_can_be_read() -> None:
    heal, short = Recipe.load("heal"), Recipe.load("heal").override(steps=3)
    keys = [heal_key(*parts) for parts in (
        ("t", "s", "bs+tss", heal, "d"), ("x", "s", "bs+tss", heal, "d"),
        ("t", "x", "bs+tss", heal, "d"), ("t", "s", "bb+ttt", heal, "d"),
        ("t", "s", "bs+tss", short, "d"), ("t", "s", "bs+tss", heal, "x"),
    )]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert Recipe.parse(without_heal(stored("heal", heal={"code": "bs+tss"}))) == heal
