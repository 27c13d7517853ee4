"""What is decided for a device, from a description of it alone."""

import pytest
import torch

from boomerang.modules.accelerator import Accelerator
from tests.support.devices import A100, H100, MIXED, PRECISE, T4, V100, Card, described


@pytest.mark.parametrize(
    ("card", "compute"),
    [(V100, torch.float32), (T4, torch.float32), (A100, torch.bfloat16), (H100, torch.bfloat16)],
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


def test_measuring_takes_twice_the_logits_and_a_cpu_as_many_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (PRECISE.unkept, PRECISE.compared, PRECISE.gathered) == (2**26, 2**24, 0)
    assert PRECISE.tokens == 4096
    shapes = ((16, 200), (256, 151936), (256, 16384), (2048, 4096), (4096, 151936))
    for length, vocabulary in shapes:
        expected = min(16, max(1, 2**26 // (vocabulary * length)))
        assert PRECISE.windows(16, length, vocabulary) == expected
    for card in (V100, T4, A100, H100):
        with monkeypatch.context() as patch:
            found = described(card, patch)
        assert found.unkept == found.compared == found.gathered == 2 * found.logits
        # The teacher's, their logarithm and its product, the member's twice, in float32.
        assert 5 * 4 * found.unkept <= card.memory / 8
        assert found.tokens * 2**14 == found.unkept
        # Of a small vocabulary the hidden states are what takes memory.
        assert found.windows(16, 256, 200) == found.tokens // 256 >= 16
