"""What skipping layers costs against models without them, and the map that follows from it."""

from pathlib import Path

import pytest
import torch

from benchmarks.quality.pruned import measure_pruned
from boomerang.modules.causal import Causal
from boomerang.quality.choosing.divergence import divergence_map, divergences
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from tests.distill.jobs import RECIPE, save_teacher, save_texts
from tests.support.models import LAYERS, VOCABULARY, model

WINDOWS = torch.randint(VOCABULARY, (6, 9), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_cost_is_the_divergence_of_the_teacher_without_those_layers(family: str) -> None:
    causal = Causal(model(family, 1, num_hidden_layers=4))
    told: list[tuple[int, int]] = []
    found = divergences(causal, WINDOWS, 3, lambda done, of: told.append((done, of)))
    for i in range(5):
        for j in range(5):
            if i == j:
                assert found[i, j] == 0
            elif 0 < i < j <= i + 2:
                layers = [index for index in range(4) if not i <= index < j]
                alone = measure_pruned(causal, WINDOWS, layers).kl
                assert float(found[i, j]) == pytest.approx(alone, rel=1e-4, abs=1e-6)
            else:
                assert found[i, j] == float("inf")
    # Five runs of one or two layers that do not begin with the first, on two batches.
    assert told == [(done, 10) for done in range(1, 11)]


def test_the_map_keeps_as_many_layers_as_the_recipes_own(tmp_path: Path) -> None:
    folder, data = save_teacher(tmp_path / "teacher", "llama"), save_texts(tmp_path / "text")
    recipe = Recipe.parse(RECIPE)
    found = divergence_map(folder, Texts.open(data), recipe)
    own = recipe.layermap(["layer"] * LAYERS)
    assert len(found.kept) == len(own.kept)
    assert found.layers == LAYERS
    assert found == divergence_map(folder, Texts.open(data), recipe)
