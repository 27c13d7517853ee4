"""Which member a training pass runs through: the student, or one with teacher blocks patched in.

A patched pass trains the student layers that remain to work beside the teacher's, which is what
they do in every intermediate model.
"""

import random

from boomerang.composition import Composition
from boomerang.distill.recipe import Recipe
from boomerang.layermap import LayerMap

ENDS = 0.25
"""The share of patched passes that are a prefix of the long layers, and as much a suffix."""


def member_for(
    recipe: Recipe, layermap: LayerMap, seed: int, step: int, steps: int, part: int
) -> Composition:
    """The member that micro-batch `part` of `step` (of `steps`) runs through.

    Depends on nothing but its arguments, so that a run that goes on does what it would have done.
    """
    draw = random.Random(f"{seed}/{step}/{part}")  # noqa: S311
    patches = step >= recipe.patch_after * steps and draw.random() < recipe.patch_probability
    return Composition.patched(layermap, patch_set(layermap, draw) if patches else ())


def patch_set(layermap: LayerMap, draw: random.Random) -> frozenset[int]:
    """A set of long student layers to patch: never all of them, for then nothing is trained.

    The size is uniform, because each size is one member of the ladder. Half of the sets are
    uniform among those of their size: an order by measure may choose any. A quarter each are
    prefixes and suffixes of the long layers: the members of the orders `first` and `last`, which
    a uniform draw would almost never hit in the middle sizes of a deep model.
    """
    long = layermap.long
    if len(long) < 2:
        return frozenset()
    size = draw.randrange(1, len(long))
    which = draw.random()
    if which < ENDS:
        return frozenset(long[:size])
    if which < 2 * ENDS:
        return frozenset(long[-size:])
    return frozenset(draw.sample(long, size))
