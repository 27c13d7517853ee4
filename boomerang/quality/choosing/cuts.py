"""The cut of a teacher's layers into blocks that costs least, where a cost is known for each block.

Exact: costs add up, so that the least sum over all cuts is found by taking block after block.
"""

from collections.abc import Hashable, Sequence

from torch import Tensor

from boomerang.errors import StudentMismatch
from boomerang.family.layer_map import LayerMap

LONGEST = 3
"""Layers of a block at most: where every fourth layer is kept, members no longer interpolate
(arXiv 2510.05064, section 4)."""

WORTH = 0.10
"""By which share each block of three must lower the sum of costs, compared with two of two: what
it costs to begin with says too little of what it costs after training (docs/experiments.md)."""

_Place = tuple[int, frozenset[Hashable], bool, int]
_Way = tuple[float, tuple[int, ...]]


def cheapest(
    costs: Tensor, keep: int, kinds: Sequence[Hashable] = (), longest: int = LONGEST,
    worth: float = WORTH,
) -> LayerMap:  # fmt: skip
    """The layer map of `keep` blocks whose costs have the least sum, with few long ones.

    `costs` (N+1, N+1) has at [i, j] what a student loses whose layer i − 1 stands for the layers up
    to j − 1 too. The fewer blocks have more than one layer, the longer they are: a map with one
    fewer is taken where it lowers the sum by more than the share `worth`, with two fewer where by
    more than twice that, and so on. With the `kinds` of the layers, one of each is kept. Where it
    can be, one block has two layers: patched beside those of three it gives every depth between
    student and teacher. Raises StudentMismatch where no map keeps each kind.
    """
    depth = len(costs) - 1
    kinds = kinds or ["layer"] * depth
    every = frozenset(kinds)
    # By first layer not yet in a block, kinds kept, whether a block has two layers, and how many
    # have more than one: the least cost.
    best: dict[_Place, _Way] = {(0, frozenset(), False, 0): (0.0, ())}
    for _ in range(keep):
        step: dict[_Place, _Way] = {}
        for (start, seen, two, long), (cost, kept) in best.items():
            for end in range(start + 1, min(start + longest, depth) + 1):
                two_now, long_now = two or end == start + 2, long + (end > start + 1)
                key = (end, seen | {kinds[start]}, two_now, long_now)
                found = (cost + float(costs[start + 1, end]), (*kept, start))
                if key not in step or found < step[key]:
                    step[key] = found
        best = step
    for two in (True, False):
        whole = (depth, every, two)
        ways = {place[3]: way for place, way in best.items() if place[:3] == whole}
        if ways:
            # Of equals, which are all where a cost is 0, that with the most blocks.
            weighed = {long: ways[long][0] * (1 - worth) ** long for long in ways}
            return LayerMap(ways[min(weighed, key=lambda n: (weighed[n], -n))][1], depth)
    raise StudentMismatch(
        f"No layer map of {keep} of {depth} layers, in blocks of at most {longest}, keeps each "
        f"of {sorted(map(str, every))}.",
        value=keep,
        fix="Keep more layers, or list them.",
    )
