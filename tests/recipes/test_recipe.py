"""Recipes: what comes with the package, what is refused, what changes a key."""

import subprocess
import sys
from pathlib import Path

import pytest

from boomerang.errors import BadRecipe, StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.fixed import BETAS, CLIP, FORMER, WEIGHT_DECAY
from boomerang.recipes.former import BEFORE, former
from boomerang.recipes.maps import DEFAULT, MEASURED
from boomerang.recipes.recipe import Recipe, student_key

SMALL = {"steps": 3, "batch_tokens": 64, "sequence_length": 16, "learning_rate": 1e-3}


def test_the_published_recipe_has_the_papers_numbers() -> None:
    recipe = Recipe.load("published")
    assert (recipe.steps, recipe.batch_tokens, recipe.sequence_length) == (500, 4_194_304, 2048)
    assert (recipe.learning_rate, BETAS, WEIGHT_DECAY) == (3e-4, (0.9, 0.95), 0.1)
    assert (recipe.warmup, CLIP, recipe.patch_probability) == (0.01, 1.0, 0.0)
    assert (recipe.ce_weight, recipe.kl_weight, recipe.cosine_weight) == (1.0, 0.1, 2.0)
    assert recipe.freezes(tied=True) is False
    assert recipe.layermap(["full"] * 36).kept == (*range(0, 33, 2), 34, 35)


def test_instruct_has_the_schedule_of_adapt_and_patches_and_weighs_as_default_does() -> None:
    recipe, default = Recipe.load("instruct"), Recipe.load("default")
    assert (recipe.steps, recipe.batch_tokens, recipe.sequence_length) == (480, 2048 * 1024, 1024)
    assert (recipe.learning_rate, BETAS, WEIGHT_DECAY) == (3e-4, (0.9, 0.95), 0.1)
    assert (recipe.warmup, CLIP) == (0.01, 1.0)
    assert [(p.until, p.instruction_share) for p in recipe.phases] == [(0.5, 0.0), (1.0, 1.0)]
    assert (recipe.loss_on, recipe.kinds) == ("completions", ("text", "instructions"))
    assert recipe.share("text") == recipe.share("instructions") == 0.5
    assert (recipe.patch_probability, recipe.patch_after, recipe.patch_fade) == (1.0, 0.0, 1.0)
    assert (recipe.ce_weight, recipe.kl_weight, recipe.cosine_weight) == (0.1, 1.0, 6.0)
    for name in BEFORE["instruct"]:
        assert getattr(recipe, name) == getattr(default, name)


MADE_BEFORE = {
    "instruct": "de781dec0df4d04339e62949f2f59744",
    "default": "4468cb6c9ab0d192a62ad9b6e7a1d2d9",
    "published": "09a93105b2b68b04ba99a94c56df03d4",
    "kjv": "d7365715f05529490282d21cfae6c3c0",
    "smoke": "dc29518d33ef57361cd1d72bdcead497",
}
"""Digests under which students are cached: a new field must not change them.

Those of the published map, and of the one that `kjv` once listed.
"""


@pytest.mark.parametrize("name", MADE_BEFORE)
def test_students_that_were_made_keep_their_keys(name: str) -> None:
    today = Recipe.load(name)
    recipe = former(today)[-1] if name in BEFORE else today.override(map="published")
    assert recipe.digest() == MADE_BEFORE[name]
    phase = {"until": 1.0, "instruction_share": 0.0}
    others = [recipe.override(phases=[phase]), recipe.override(seed=1)]
    assert len({other.digest() for other in others} | {recipe.digest()}) == 3


def test_instruct_that_patches_has_students_of_its_own() -> None:
    """It was ADAPT's (arXiv 2608.22854) alone, whose students are others."""
    recipe = Recipe.load("instruct")
    adapt = former(recipe)[-1]
    assert recipe.digest() == "2d124c2672722eda9ca3732d9c81f8e9"
    assert (adapt.patch_probability, adapt.patch_fade) == (0, 0)
    assert (adapt.ce_weight, adapt.kl_weight, adapt.cosine_weight) == (1.0, 0.1, 10.0)
    assert adapt.digest() == MADE_BEFORE["instruct"]


def test_what_a_request_says_itself_was_never_otherwise() -> None:
    recipe = Recipe.load("default").override(steps=7, patch_after=0.5)
    then = former(recipe)
    assert [one.map for one in then] == ["published", "published"]
    assert {(one.steps, one.patch_after) for one in then} == {(7, 0.5)}
    assert then[1].patch_probability == 0.8
    # A recipe of one's own has no other past than the published layers.
    assert former(Recipe.parse(SMALL)) == (Recipe.parse(SMALL).override(map="published"),)


STORED = {
    "name": "stored", "steps": 3, "minutes": None, "batch_tokens": 64, "sequence_length": 16,
    "micro_batch": 1, "learning_rate": 0.001, "betas": [0.9, 0.95], "weight_decay": 0.1,
    "warmup": 0.01, "clip": 1.0, "ce_weight": 1.0, "kl_weight": 0.1, "cosine_weight": 2.0,
    "freeze_embeddings": "auto", "patch_probability": 0.0, "patch_after": 0.0,
    "patch_sizes": "uniform", "patch_ends": 0.5, "first": 1, "every": 2, "last": 2, "kept": None,
    "initialisation": "teacher", "seed": 0, "optimiser": "adamw", "separate_documents": False,
    "phases": [], "loss_on": "all", "activation_checkpointing": False,
}  # fmt: skip
"""A recipe as catalogs, students and jobs have it from when it had nine fields more."""


@pytest.mark.parametrize(
    ("changed", "digest"),
    [
        ({}, "00fa1a37b11dda3fe432074b0053e7e8"),
        ({"kept": [0, 1, 3]}, "e4a199ed2c42f102f7ced23eaa1874ac"),
        (
            {"steps": None, "minutes": 2.5, "optimiser": "adamw8bit", "seed": 7},
            "6750a719d70d138355ec6b3bf6426001",
        ),
        (
            {
                "freeze_embeddings": True, "phases": [{"until": 1.0, "instruction_share": 0.25}],
                "loss_on": "completions", "separate_documents": True, "warmup": 0.05,
                "ce_weight": 0,
            },
            "04f22c22c96fbe99b650a988610cd77f",
        ),
    ],
)  # fmt: skip
def test_a_stored_recipe_is_read_and_keeps_its_digest(
    changed: dict[str, object], digest: str
) -> None:
    recipe = Recipe.stored({**STORED, **changed})
    assert recipe.digest() == digest
    assert Recipe.stored(recipe.model_dump(mode="json")).digest() == digest
    assert not FORMER.keys() & recipe.model_dump().keys()


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("betas", [0.9, 0.999], "learning_rate"),
        ("weight_decay", 0.0, "learning_rate"),
        ("clip", 2.0, "learning_rate"),
        ("first", 2, "kept"),
        ("every", 3, "kept"),
        ("last", 1, "kept"),
        ("initialisation", "random", "benchmarks/recipes"),
        ("patch_sizes", "few", "benchmarks/recipes"),
        ("patch_ends", 0, "benchmarks/recipes"),
    ],
)
def test_a_field_that_is_no_more_is_refused_by_name_where_it_says_something_else(
    name: str, value: object, fix: str
) -> None:
    with pytest.raises(BadRecipe, match=f"{name} is no field") as refused:
        Recipe.parse({**STORED, name: value})
    assert (refused.value.value, fix in (refused.value.fix or "")) == (value, True)
    with pytest.raises(BadRecipe, match=f"{name} is no field"):
        Recipe.parse(SMALL).override(**{name: value})


@pytest.mark.parametrize("name", MADE_BEFORE)
def test_what_a_recipe_makes_does_not_depend_on_the_machine(name: str) -> None:
    """By the clock a busy machine trained the demo's student 73 steps, a quiet one about 300."""
    recipe = Recipe.load(name)
    assert (recipe.minutes, bool(recipe.steps)) == (None, True)


@pytest.mark.parametrize("name", ["default", "instruct", "smoke", "kjv"])
def test_the_other_recipes_are_patch_aware_and_freeze_what_is_tied(name: str) -> None:
    recipe = Recipe.load(name)
    assert recipe.patch_probability >= 0.5
    assert (recipe.freezes(tied=True), recipe.freezes(tied=False)) == (True, False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"learing_rate": 1.0}, "learing_rate"),
        ({"steps": 0}, "steps"),
        ({"minutes": 2}, "either steps or minutes"),
        ({"steps": None}, "either steps or minutes"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"patch_probability": 1.5}, "patch_probability"),
        ({"loss_on": "answers"}, "loss_on"),
        ({"phases": [{"until": 0.5, "instruction_share": 0.5}]}, "the last at 1.0"),
        ({"phases": [{"until": 1, "instruction_share": 0}] * 2}, "later than the one before"),
        ({"phases": [{"until": 1, "instruction_share": 1.1}]}, "phases.0.instruction_share"),
        ({"phases": [{"until": 1, "share": 1}]}, "phases.0.share"),
        ({"ce_weight": 0, "kl_weight": 0, "cosine_weight": 0}, "loss weights"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, object], said: str) -> None:
    with pytest.raises(BadRecipe, match=said):
        Recipe.parse({**SMALL, **fields})


def test_a_recipe_is_read_from_a_file_and_overridden(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("minutes = 2\nbatch_tokens = 64\nsequence_length = 16\nlearning_rate = 1e-3\n")
    recipe = Recipe.load(file)
    assert (recipe.name, recipe.minutes) == ("mine", 2)
    longer = recipe.override(steps=7)
    assert (longer.steps, longer.minutes) == (7, None)
    assert longer.override(minutes=1.5).steps is None
    file.write_text("minutes = = 2")
    with pytest.raises(BadRecipe, match="not TOML"):
        Recipe.load(file)
    with pytest.raises(BadRecipe, match="no recipe 'fast'"):
        Recipe.load("fast")


def test_the_key_follows_everything_that_makes_the_student() -> None:
    recipe, layermap = Recipe.stored(SMALL), LayerMap((0, 2), 4)
    keys = {
        student_key("a", layermap, recipe, "d"),
        student_key("b", layermap, recipe, "d"),
        student_key("a", LayerMap((0, 1), 4), recipe, "d"),
        student_key("a", LayerMap((0, 2), 5), recipe, "d"),
        student_key("a", layermap, recipe.override(seed=1), "d"),
        student_key("a", layermap, recipe, "e"),
    }
    assert len(keys) == 6
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)
    renamed = recipe.override(name="other")
    assert student_key("a", layermap, renamed, "d") == student_key("a", layermap, recipe, "d")


def test_the_key_of_a_measured_map_says_how_it_is_found_and_not_which_it_is() -> None:
    published = Recipe.stored(SMALL)
    recipe, layermap = published.override(map="similarity"), LayerMap((0, 2), 4)
    same = student_key("a", LayerMap((0, 3), 4), recipe, "d")
    assert student_key("a", layermap, recipe, "d") == same
    keys = {
        same,
        student_key("a", layermap, published, "d"),
        student_key("a", LayerMap((0, 2, 3), 4), recipe, "d"),
        student_key("a", LayerMap((0, 2), 5), recipe, "d"),
        student_key("a", layermap, recipe, "e"),
        student_key("b", layermap, recipe, "d"),
    }
    assert len(keys) == 6


def test_recipes_measure_but_for_the_published_one_and_one_that_is_to_be_quick() -> None:
    rules = {name: Recipe.load(name).map for name in MADE_BEFORE}
    measured = dict.fromkeys(("default", "kjv", "instruct"), DEFAULT)
    assert rules == measured | {"published": "published", "smoke": "published"}
    assert DEFAULT in MEASURED
    assert Recipe.parse(SMALL).map == DEFAULT


def test_layers_are_listed_or_found_by_a_rule() -> None:
    recipe = Recipe.parse({**SMALL, "map": "similarity"})
    assert recipe.measures
    listed = recipe.override(kept=[0, 1])
    assert (listed.map, listed.measures, listed.override(seed=1).kept) == (
        "published",
        False,
        (0, 1),
    )
    assert listed.override(map="similarity").kept is None
    for map_ in (None, "published"):
        fields = {} if map_ is None else {"map": map_}
        # What was written down before there were rules, and what says it, are the same.
        assert Recipe.stored({**SMALL, **fields}).digest() == "00fa1a37b11dda3fe432074b0053e7e8"
    assert Recipe.stored(recipe.model_dump(mode="json")) == recipe
    with pytest.raises(BadRecipe, match="either kept or a map"):
        Recipe.parse({**SMALL, "map": "similarity", "kept": [0, 1]})
    with pytest.raises(BadRecipe, match="map"):
        Recipe.parse({**SMALL, "map": "luck"})


def test_recipes_and_texts_import_no_torch() -> None:
    code = (
        "import sys, boomerang.recipes.recipe, boomerang.texts.texts\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_recipe_without_a_choice_of_optimiser_keeps_its_digest() -> None:
    recipe = Recipe.stored(SMALL)
    assert recipe.digest() == "00fa1a37b11dda3fe432074b0053e7e8"
    assert recipe.override(optimiser="adamw").digest() == recipe.digest()
    assert recipe.override(optimiser="adamw8bit").digest() != recipe.digest()
    with pytest.raises(BadRecipe, match="optimiser"):
        recipe.override(optimiser="sgd")


def test_kept_layers_are_those_that_are_listed() -> None:
    recipe = Recipe.parse({**SMALL, "kept": [0, 1, 3]})
    assert recipe.layermap(["full"] * 5) == LayerMap((0, 1, 3), 5)
    assert recipe.digest() != Recipe.parse(SMALL).digest()
    assert recipe.digest() != Recipe.stored(SMALL).digest()
    with pytest.raises(StudentMismatch, match="none of the kind full"):
        recipe.layermap(["slide", "slide", "full", "slide", "full"])
    for kept in ([1, 2], [0, 3, 1], [0, 9], []):
        with pytest.raises(StudentMismatch, match="no layer map"):
            recipe.override(kept=kept).layermap(["full"] * 5)
    with pytest.raises(BadRecipe, match="kept"):
        recipe.override(kept=[0, -1])
