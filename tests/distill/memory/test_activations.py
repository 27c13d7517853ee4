"""What layers keep for the backward pass, told without memory, beside what they do keep."""

from pathlib import Path

import pytest
import torch

from boomerang.architecture.anatomy import Anatomy, dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.memory.activations import LayerActivations, _each, layer_activations
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal
from tests.support.devices import H100, MIXED, PRECISE, described
from tests.support.models import VOCABULARY, each, model

LENGTH = 32
_GROUPED = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss")


def anatomy_of(folder: Path, kind: str) -> Anatomy:
    model(kind, 1).save_pretrained(folder)
    return dissect(Checkpoint.open(folder))


@pytest.mark.parametrize("kind", each())
def test_every_architecture_keeps_what_it_is_said_to_keep(tmp_path: Path, kind: str) -> None:
    told = layer_activations(
        anatomy_of(tmp_path, kind), LENGTH, PRECISE, torch.float32, documents=True
    )
    causal = Causal(model(kind, 1))
    places = torch.cat([torch.arange(LENGTH // 2)] * 2)[None]
    hidden = causal.embed(torch.arange(LENGTH)[None] % VOCABULARY, places).detach()
    kept = _each(causal, hidden, causal.context(hidden, places), torch.float32)
    # Experts are told in bfloat16, whose autocast keeps some tensors in both dtypes.
    most = 0.25 if kind in _GROUPED else 1e-9
    for ours, real in zip(told, kept, strict=True):
        assert ours.trained == pytest.approx(real.trained, rel=most)
        assert ours.frozen == pytest.approx(real.frozen, rel=most)
        assert ours.frozen < ours.trained


def test_half_the_bytes_are_kept_where_products_are_in_bfloat16(tmp_path: Path) -> None:
    anatomy = anatomy_of(tmp_path, "llama")
    exact, mixed = (
        layer_activations(anatomy, LENGTH, on, on.compute, documents=False)[0]
        for on in (PRECISE, MIXED)
    )
    assert 0.5 < mixed.trained / exact.trained < 0.8


def test_scores_of_all_pairs_are_counted_where_they_are_stored_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anatomy = anatomy_of(tmp_path, "gemma2")

    def growth(on: Accelerator) -> float:
        return _of(anatomy, 256, on).trained / _of(anatomy, 64, on).trained

    assert growth(PRECISE) > 8
    # Attention by blocks stores none: four times the tokens are four times the bytes.
    with monkeypatch.context() as patch:
        card = described(H100, patch)
    assert card.blocks
    assert growth(card) == pytest.approx(4, rel=0.01)


def _of(anatomy: Anatomy, length: int, on: Accelerator) -> LayerActivations:
    return layer_activations(anatomy, length, on, torch.float32, documents=True)[0]
