"""The cheapest cut against trying every one."""

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
def test_no_cut_is_cheaper_that_gives_every_depth(depth: int, data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, depth))
    size = (depth + 1) ** 2
    values = data.draw(st.lists(st.floats(0, 2), min_size=size, max_size=size))
    kinds = data.draw(st.lists(st.sampled_from("ab"), min_size=depth, max_size=depth))
    longest, worth = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.0, 0.1, 0.5]))
    costs = torch.tensor(values, dtype=torch.float64).view(depth + 1, depth + 1)

    def cost(map_: LayerMap) -> float:
        return sum(float(costs[block.start + 1, block.stop]) for block in map_.blocks)

    maps = [LayerMap((0, *rest), depth) for rest in combinations(range(1, depth), keep - 1)]
    able = [
        map_
        for map_ in maps
        if {kinds[index] for index in map_.kept} == set(kinds)
        and max(map(len, map_.blocks)) <= longest
    ]
    able = [map_ for map_ in able if 2 in map(len, map_.blocks)] or able
    if not able:
        with pytest.raises(StudentMismatch):
            cheapest(costs, keep, kinds, longest, worth)
        return
    found = cheapest(costs, keep, kinds, longest, worth)
    assert found in able
    weighed = [cost(map_) * (1 - worth) ** len(map_.long) for map_ in able]
    assert cost(found) * (1 - worth) ** len(found.long) == pytest.approx(min(weighed))


def test_a_block_of_three_stands_where_it_costs_less_than_two_of_two() -> None:
    costs = torch.full((8, 8), float("inf"), dtype=torch.float64).fill_diagonal_(0)
    for start, alone in enumerate((1.0, 0.1, 0.1, 0.1, 1.0, 2.0), start=1):
        costs[start, start + 1] = alone
    costs[2, 4] = 0.15
    # Two layers go: 2 and 3 as one block would leave no block of two, and half of the depths.
    assert cheapest(costs, 5).pruned == (2, 4)
    assert cheapest(costs, 4).pruned == (2, 3, 5)
    # Apart they would cost 1.25 as three blocks of two: a block of three saves too little then.
    costs[5, 6], costs[6, 7] = 1.05, 1.05
    assert cheapest(costs, 4).pruned == (2, 4, 6)
    assert cheapest(costs, 4, worth=0.01).pruned[:2] == (2, 3)
