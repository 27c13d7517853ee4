"""Distances between states against the model's own, and the layer map against trying every map."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.quality.pruned import block_influence, least_influential_pruned
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.modules.load import load
from boomerang.quality.choosing.similarity import distances, map_by_similarity
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream
from tests.distill.jobs import save_teacher, save_texts
from tests.support.cli_stub import told
from tests.support.devices import H100, PRECISE, described, pretend
from tests.support.models import LAYERS, VOCABULARY, model

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


def test_a_gpu_takes_as_many_windows_at_once_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    causal = Causal(model("llama", 1, num_hidden_layers=4))
    with monkeypatch.context() as patch:
        card = described(H100, patch)
    windows = WINDOWS.repeat(50, 1)
    passes, found = {}, {}
    for on in (PRECISE, card):
        pretend(on, monkeypatch)
        sizes: list[int] = []
        hook = causal.layers[0].register_forward_hook(
            lambda _, arguments, __, to=sizes: to.append(len(arguments[0]))
        )
        found[on] = distances(causal, windows)
        hook.remove()
        passes[on] = sizes
    assert (passes[PRECISE], passes[card]) == ([4] * 75, [300])
    torch.testing.assert_close(found[card], found[PRECISE], rtol=0, atol=1e-4)
    # 36 layers of width 4096 are 37 states of each token.
    assert card.windows(4, 256, 37 * 4096) == 6


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.data())
def test_no_other_map_is_nearer(depth: int, data: st.DataObject) -> None:
    keep = data.draw(st.integers(1, depth))
    values = data.draw(
        st.lists(st.floats(0, 2), min_size=(depth + 1) ** 2, max_size=(depth + 1) ** 2)
    )
    kinds = data.draw(st.lists(st.sampled_from("ab"), min_size=depth, max_size=depth))
    longest = data.draw(st.none() | st.integers(1, depth))
    of = torch.tensor(values, dtype=torch.float64).view(depth + 1, depth + 1)

    def cost(layermap: LayerMap) -> float:
        return sum(float(of[block.start + 1, block.stop]) for block in layermap.blocks)

    maps = [LayerMap((0, *rest), depth) for rest in combinations(range(1, depth), keep - 1)]
    whole = [m for m in maps if {kinds[i] for i in m.kept} == set(kinds)]
    whole = [m for m in whole if max(map(len, m.blocks)) <= (longest or depth)]
    if not whole:
        with pytest.raises(StudentMismatch):
            map_by_similarity(of, keep, kinds, longest)
        return
    found = map_by_similarity(of, keep, kinds, longest)
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


@pytest.mark.long("a whole distillation by the command line")
def test_the_command_line_distils_the_map_by_similarity(tmp_path: Path) -> None:
    teacher, texts = save_teacher(tmp_path / "teacher"), save_texts(tmp_path / "texts")
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("steps = 1\nbatch_tokens = 32\nsequence_length = 16\nlearning_rate = 0.01")
    asked = ("distill", teacher, "--text", texts, "--recipe", recipe, "--map")
    made = told(*asked, "similarity", "--out", tmp_path / "student")
    encoded = Tokeniser(teacher, VOCABULARY).encode(Texts.open(texts), "calibration")
    of = distances(load(teacher, dtype=torch.float32), Stream(encoded, 16).head(16384))
    published = LayerMap.published(LAYERS)
    wanted = map_by_similarity(of, len(published.kept), longest=2)
    assert tuple(made["kept"]) == wanted.kept != published.kept
    pair = Pair.of(Checkpoint.open(teacher), Checkpoint.open(tmp_path / "student"))
    assert pair.layermap == wanted
    listed = ",".join(map(str, wanted.kept))
    same = told(*asked[:-1], "--kept", listed, "--out", tmp_path / "same")
    # Its key says which layers, and that of a measured map how they were found.
    assert (same["kept"], same["final"]) == (made["kept"], made["final"])
    assert same["key"] != made["key"]
