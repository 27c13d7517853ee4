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
LOST = 0.15
"""By which share a size that is lost must lower the sum of costs."""

_Way = tuple[float, tuple[int, ...]]


def cheapest(
    costs: Tensor, keep: int, kinds: Sequence[Hashable] = (), longest: int = LONGEST,
    lost: float = LOST,
) -> LayerMap:  # fmt: skip
    """The layer map of `keep` blocks whose costs have the least sum, at no needless loss of sizes.

    `costs` (N+1, N+1) has at [i, j] what a student loses whose layer i − 1 stands for the layers up
    to j − 1 too. A block of three layers is one step of the ladder, as one of two is: the sizes
    between are lost. So the map with the most sizes is taken, unless one with fewer lowers the sum
    by more than the share `lost` for each size. With the `kinds` of the layers, one of each is
    kept. Raises StudentMismatch where no map does that.
    """
    depth = len(costs) - 1
    kinds = kinds or ["layer"] * depth
    every = frozenset(kinds)
    # By (first layer not yet in a block, kinds kept, long blocks): the least cost, and the layers.
    best: dict[tuple[int, frozenset[Hashable], int], _Way] = {(0, frozenset(), 0): (0.0, ())}
    for _ in range(keep):
        step: dict[tuple[int, frozenset[Hashable], int], _Way] = {}
        for (start, seen, long), (cost, kept) in best.items():
            for end in range(start + 1, min(start + longest, depth) + 1):
                key = (end, seen | {kinds[start]}, long + (end > start + 1))
                found = (cost + float(costs[start + 1, end]), (*kept, start))
                if key not in step or found < step[key]:
                    step[key] = found
        best = step
    ways = {long: way for (end, seen, long), way in best.items() if (end, seen) == (depth, every)}
    if not ways:
        raise StudentMismatch(
            f"No layer map of {keep} of {depth} layers, in blocks of at most {longest}, keeps each "
            f"of {sorted(map(str, every))}.",
            value=keep,
            fix="Keep more layers, or list them.",
        )
    # Logarithms would not do: where nothing is lost by skipping, a cost is 0.
    chosen = min(sorted(ways, reverse=True), key=lambda long: ways[long][0] * (1 - lost) ** long)
    return LayerMap(ways[chosen][1], depth)
