"""Distances between states against the model's own, and the layer map against trying every map."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.errors import StudentMismatch
from boomerang.layermap import LayerMap
from boomerang.quality.models import Causal
from boomerang.quality.similarity import (
    block_influence,
    distances,
    least_influential_pruned,
    map_by_similarity,
)
from tests.models import VOCABULARY, model

WINDOWS = torch.randint(VOCABULARY, (6, 9), generator=torch.Generator().manual_seed(3))


def test_distances_are_those_of_the_models_own_hidden_states() -> None:
    causal = Causal(model("llama", 1, num_hidden_layers=4))
    found = distances(causal, WINDOWS)
    with torch.no_grad():
        told = causal.model(WINDOWS[:, :-1], output_hidden_states=True).hidden_states
    # The last of them is after the norm, so it is left out.
    for i in range(4):
        for j in range(4):
            wanted = 1 - torch.nn.functional.cosine_similarity(told[i], told[j], dim=-1).mean()
            assert float(found[i, j]) == pytest.approx(float(wanted), abs=1e-5)
    assert found.shape == (5, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.data())
def test_no_other_map_is_nearer(depth: int, data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, depth))
    values = data.draw(
        st.lists(st.floats(0, 2), min_size=(depth + 1) ** 2, max_size=(depth + 1) ** 2)
    )
    kinds = data.draw(st.lists(st.sampled_from("ab"), min_size=depth, max_size=depth))
    of = torch.tensor(values, dtype=torch.float64).view(depth + 1, depth + 1)

    def cost(layermap: LayerMap) -> float:
        return sum(float(of[block.start + 1, block.stop]) for block in layermap.blocks)

    maps = [LayerMap((0, *rest), depth) for rest in combinations(range(1, depth), keep - 1)]
    whole = [m for m in maps if {kinds[i] for i in m.kept} == set(kinds)]
    if not whole:
        with pytest.raises(StudentMismatch):
            map_by_similarity(of, keep, kinds)
        return
    found = map_by_similarity(of, keep, kinds)
    assert found in whole
    assert cost(found) == pytest.approx(min(map(cost, whole)))


def test_shortgpt_keeps_what_changes_its_input_most() -> None:
    of = torch.zeros(5, 5)
    for index, change in enumerate((0.5, 0.1, 0.9, 0.3)):
        of[index, index + 1] = change
    assert block_influence(of) == pytest.approx([0.5, 0.1, 0.9, 0.3])
    assert least_influential_pruned(of, 2) == [0, 2]


@pytest.mark.parametrize("keep", [0, 1, 9])
def test_a_number_of_layers_that_cannot_be(keep: int) -> None:
    with pytest.raises(StudentMismatch):
        map_by_similarity(torch.zeros(9, 9), keep, ["full", "slide"] * 4)
