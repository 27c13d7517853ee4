"""What is decided for a device, from a description of it alone."""

import pytest
import torch

from boomerang.quality.accelerator import Accelerator
from tests.devices import A100, H100, MIXED, PRECISE, T4, V100, Card, described


@pytest.mark.parametrize(
    ("card", "compute"),
    [
        (V100, torch.float32),
        (T4, torch.float32),
        (A100, torch.bfloat16),
        (H100, torch.bfloat16),
    ],
    ids=["V100", "T4", "A100", "H100"],
)
def test_only_a_gpu_that_multiplies_in_bfloat16_itself_computes_in_it(
    card: Card, compute: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = described(card, monkeypatch)
    assert torch.cuda.is_bf16_supported()
    assert (found.kind, found.memory) == ("cuda", card.memory)
    assert found.compute is compute


def test_a_cpu_computes_in_float32() -> None:
    assert Accelerator.of(torch.device("cpu")) == PRECISE
    assert PRECISE.compute is torch.float32
    a = torch.ones(2, 2)
    with PRECISE.autocast():
        assert (a @ a).dtype is torch.float32
    with MIXED.autocast():
        assert (a @ a).dtype is torch.bfloat16


def test_a_gpu_takes_more_logits_at_once_and_never_cuts_them_into_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {}
    for name, card in {"V100": V100, "T4": T4, "A100": A100, "H100": H100}.items():
        with monkeypatch.context() as patch:
            found = described(card, patch)
        assert found.rows == found.logits
        # Both sides, probabilities, and copies of half the size for products.
        assert 4 * 4 * found.logits <= card.memory / 16
        sizes[name] = found.logits
    assert sizes == {"V100": 2**25, "T4": 2**25, "A100": 2**26, "H100": 2**27}
    assert (PRECISE.logits, PRECISE.rows) == (2**25, 2**20)
