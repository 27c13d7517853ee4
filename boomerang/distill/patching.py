"""Which member a training pass runs through: the student, or one with teacher blocks patched in.

A patched pass trains the student layers that remain to work beside the teacher's, which is what
they do in every intermediate model.
"""

import random

from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe


def member_for(
    recipe: Recipe, layermap: LayerMap, seed: int, step: int, steps: int, part: int
) -> Composition:
    """The member that micro-batch `part` of `step` (of `steps`) runs through.

    Depends on nothing but its arguments, so that a run that goes on does what it would have done.
    """
    draw = random.Random(f"{seed}/{step}/{part}")  # noqa: S311
    patches = step >= recipe.patch_after * steps and draw.random() < recipe.patch_probability
    return Composition.patched(layermap, patch_set(recipe, layermap, draw) if patches else ())


def patch_set(recipe: Recipe, layermap: LayerMap, draw: random.Random) -> frozenset[int]:
    """A set of long student layers to patch: never all of them, for then nothing is trained.

    By default the size is uniform, because each size is one member of the ladder. Half of the
    sets (`patch_ends`) are prefixes or suffixes of the long layers, the members of the orders
    `first` and `last`, which a uniform draw would almost never hit in the middle sizes of a deep
    model; an order by measure may choose any.
    """
    long = layermap.long
    if len(long) < 2:
        return frozenset()
    size = _size(recipe, len(long) - 1, draw)
    which = draw.random()
    if which < recipe.patch_ends / 2:
        return frozenset(long[:size])
    if which < recipe.patch_ends:
        return frozenset(long[-size:])
    return frozenset(draw.sample(long, size))


def _size(recipe: Recipe, most: int, draw: random.Random) -> int:
    """How many blocks are patched: 1 to `most`."""
    if recipe.patch_sizes == "uniform":
        return draw.randrange(1, most + 1)
    # The least of two equal draws: the number n is drawn 2·(most − n) + 1 times in most².
    few = min(draw.randrange(1, most + 1), draw.randrange(1, most + 1))
    return few if recipe.patch_sizes == "few" else most + 1 - few
