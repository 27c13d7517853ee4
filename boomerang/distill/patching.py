"""Which member a training pass runs through: the student, or one with teacher blocks patched in.

A patched pass trains the student layers that remain to work beside the teacher's, which is what
they do in every intermediate model.
"""

import random
from collections.abc import Sequence

from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe

ENDS = 0.5
"""How many of the patched sets are prefixes or suffixes."""


def member_for(recipe: Recipe, layermap: LayerMap, step: int, steps: int, part: int) -> Composition:
    """The member that micro-batch `part` of `step` (of `steps`) runs through.

    Depends on nothing but its arguments, so that a run that goes on does what it would have done.
    """
    draw = patched(recipe, step, steps, part)
    return Composition.patched(layermap, patch_set(layermap, draw) if draw else ())


def patched(recipe: Recipe, step: int, steps: int, part: int) -> random.Random | None:
    """Where what is patched in a micro-batch is drawn from; None where it is a plain one."""
    draw = random.Random(f"{recipe.seed}/{step}/{part}")  # noqa: S311
    patches = step >= recipe.patch_after * steps and draw.random() < recipe.patch_probability
    return draw if patches else None


def patch_set(layermap: LayerMap, draw: random.Random) -> frozenset[int]:
    """A set of long student layers to patch: never all of them, for then nothing is trained.

    The size is uniform, because each size is one member of the ladder. Half of the sets (`ENDS`)
    are prefixes or suffixes of the long layers, the members of the orders `first` and `last`,
    which a uniform draw would almost never hit in the middle sizes of a deep model; an order by
    measure may choose any.
    """
    long = layermap.long
    if len(long) < 2:
        return frozenset()
    return set_of(draw.randrange(1, len(long)), long, ENDS, draw)


def set_of(size: int, long: Sequence[int], ends: float, draw: random.Random) -> frozenset[int]:
    """`size` of the long layers; `ends` of such sets are a prefix or a suffix of them."""
    which = draw.random()
    if which < ends / 2:
        return frozenset(long[:size])
    return frozenset(long[-size:] if which < ends else draw.sample(long, size))
