"""The members that the passes of a step run through."""

from collections import Counter

import pytest

from boomerang.distill.passes import member_for
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe
from tests.distill.jobs import RECIPE

MAP = LayerMap.published(12)
"""Kept 0, 2, 4, 6, 8, 10, 11: five long layers."""


def drawn(count: int = 3000, **fields: object) -> list[Composition]:
    recipe = Recipe.parse({**RECIPE, "steps": count, **fields})
    return [member_for(recipe, MAP, step, count, 0) for step in range(count)]


def test_plain_steps_come_first_and_then_the_share_that_was_asked_for() -> None:
    plain = Composition.patched(MAP, ())
    members = drawn(patch_probability=0.5, patch_after=0.3)
    assert set(members[:900]) == {plain}
    share = sum(member != plain for member in members[900:]) / 2100
    assert share == pytest.approx(0.5, abs=0.04)
    assert set(drawn(200, patch_probability=0)) == {plain}
    assert plain not in drawn(200, patch_probability=1, patch_after=0)


def test_patching_fades_in_a_line_to_the_share_that_is_left() -> None:
    plain = Composition.patched(MAP, ())
    for fade in (1.0, 0.5):
        members = drawn(6000, patch_probability=1, patch_after=0.0, patch_fade=fade)
        for begins, end in ((0, 1000), (2500, 3500), (5000, 6000)):
            wanted = 1 - fade * (begins + end) / 2 / 6000
            share = sum(member != plain for member in members[begins:end]) / 1000
            assert share == pytest.approx(wanted, abs=0.05)
    assert set(drawn(200, patch_probability=0, patch_fade=1)) == {plain}
    # After plain steps it fades over those that follow them.
    late = drawn(2000, patch_probability=1, patch_after=0.5, patch_fade=1)
    assert set(late[:1000]) == {plain}
    assert plain not in late[1000:1005]


def test_patched_sets_have_every_size_and_reach_every_order() -> None:
    members = drawn(patch_probability=1, patch_after=0)
    sets = [frozenset(j for j in MAP.long if m.choices[j] == "b") for m in members]
    sizes = Counter(map(len, sets))
    assert sorted(sizes) == [1, 2, 3, 4]
    assert all(650 < count < 850 for count in sizes.values())
    assert len(set(sets)) == 2**5 - 2
    often = Counter(sets)
    assert min(often[frozenset(MAP.long[:2])], often[frozenset(MAP.long[-2:])]) > 150
    assert all(
        member == Composition.patched(MAP, s) for member, s in zip(members, sets, strict=True)
    )


def test_a_map_with_one_long_layer_has_nothing_to_patch() -> None:
    small = LayerMap((0, 2, 3), 4)
    recipe = Recipe.parse({**RECIPE, "patch_probability": 1, "patch_after": 0})
    assert member_for(recipe, small, 3, 10, 0) == Composition.patched(small, ())
