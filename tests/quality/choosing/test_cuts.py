"""The cheapest cut against trying every one, and when a size may be lost for a cheaper one."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.errors import StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.quality.choosing.cuts import cheapest


@settings(deadline=None)
@given(st.integers(2, 8), st.data())
def test_no_cut_with_as_many_sizes_is_cheaper_and_none_is_lost_for_little(
    depth: int, data: st.DataObject
) -> None:
    keep = data.draw(st.integers(1, depth))
    size = (depth + 1) ** 2
    values = data.draw(st.lists(st.floats(0.01, 2), min_size=size, max_size=size))
    kinds = data.draw(st.lists(st.sampled_from("ab"), min_size=depth, max_size=depth))
    longest, lost = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.0, 0.15, 0.5]))
    costs = torch.tensor(values, dtype=torch.float64).view(depth + 1, depth + 1)

    def cost(map_: LayerMap) -> float:
        return sum(float(costs[block.start + 1, block.stop]) for block in map_.blocks)

    least: dict[int, float] = {}
    for rest in combinations(range(1, depth), keep - 1):
        map_ = LayerMap((0, *rest), depth)
        all_kinds = {kinds[index] for index in map_.kept} == set(kinds)
        if all_kinds and max(map(len, map_.blocks)) <= longest:
            sizes = len(map_.long)
            least[sizes] = min(cost(map_), least.get(sizes, float("inf")))
    if not least:
        with pytest.raises(StudentMismatch):
            cheapest(costs, keep, kinds, longest, lost)
        return
    found = cheapest(costs, keep, kinds, longest, lost)
    sizes = len(found.long)
    assert cost(found) == pytest.approx(least[sizes])
    for others, other in least.items():
        more = others - sizes
        assert other * (1 - lost) ** more >= cost(found) * (1 - 1e-9)


def test_a_block_of_three_is_taken_only_where_it_saves_much() -> None:
    costs = torch.full((7, 7), float("inf"), dtype=torch.float64).fill_diagonal_(0)
    for start, cost in enumerate((1.0, 0.1, 0.1, 0.1, 1.0), start=1):
        costs[start, start + 1] = cost
    costs[2, 4] = 0.9
    # Two of the six layers go: apart for 1.1 or 0.2, or 2 and 3 together.
    assert cheapest(costs, 4).pruned == (2, 4) or cheapest(costs, 4).long == (1, 2)
    costs[1, 2] = costs[4, 5] = costs[3, 4] = 5.0
    assert cheapest(costs, 4).pruned == (2, 3)
    assert len(cheapest(costs, 4, lost=0.9).long) == 2
