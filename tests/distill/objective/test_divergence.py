"""Losses of the output from hidden states: the plain formulas' numbers, without their tensors."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from boomerang.distill.objective.divergence import output_losses
from boomerang.distill.objective.losses import cosine_distance
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal
from tests.support.devices import H100, described, pretend
from tests.support.models import VOCABULARY, model

TOKENS, WIDTH = 29, 16


def causal(kind: str, seed: int, **changes: Any) -> Causal:
    return Causal(model(kind, seed, **changes))


def hidden(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(TOKENS, WIDTH, generator=generator, dtype=torch.float64).to(dtype)


LABELS = torch.randint(VOCABULARY, (TOKENS,), generator=torch.Generator().manual_seed(5))


@contextmanager
def sizes(chunk: int, rows: int) -> Iterator[None]:
    """Chunks of so many tokens, turned into probabilities so many at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Accelerator, "logits", VOCABULARY * chunk)
        patch.setattr(Accelerator, "rows", VOCABULARY * rows)
        yield


def plain(student: Tensor, teacher: Tensor, ce_weight: float, kl_weight: float) -> list[Tensor]:
    """Total, cross-entropy and KL of whole logits."""
    q, p = student.log_softmax(-1), teacher.log_softmax(-1)
    ce = functional.cross_entropy(student, LABELS)
    kl = (p.exp() * (p - q)).sum(-1).mean()
    return [ce_weight * ce + kl_weight * kl, ce, kl]


def compared(
    learner: Causal, guide: Causal, dtype: torch.dtype, weights: tuple[float, float],
    near: dict[str, float], within: AbstractContextManager[object] | None = None,
) -> None:  # fmt: skip
    """Values and gradients of ours against those of the plain formula."""
    found, expected = hidden(1, dtype).requires_grad_(), hidden(1, dtype).requires_grad_()
    teacher, own = hidden(2, dtype), [p for p in [learner.model.lm_head.weight] if p.requires_grad]
    with within or nullcontext():
        ours = output_losses(found, learner, teacher, guide, LABELS, *weights)
        with torch.no_grad():
            target = guide.head(teacher)
        theirs = plain(learner.head(expected).float() if within else learner.head(expected),
                       target.float() if within else target, *weights)  # fmt: skip
    for mine, other in zip((ours.total, ours.ce, ours.kl), theirs, strict=True):
        torch.testing.assert_close(mine, other, **near)
    mine = torch.autograd.grad(3 * ours.total, [found, *own])
    other = torch.autograd.grad(3 * theirs[0], [expected, *own])
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b, **near)


@settings(max_examples=25, deadline=None)
@given(chunk=st.integers(1, 40), rows=st.integers(1, 40), ce=st.floats(0, 2), kl=st.floats(0.1, 2))
def test_every_chunking_gives_the_plain_formulas_numbers(
    chunk: int, rows: int, ce: float, kl: float
) -> None:
    with sizes(chunk, rows):
        compared(*in_double(), torch.float64, (ce, kl), {"rtol": 1e-9, "atol": 1e-12})


@cache
def in_double() -> tuple[Causal, Causal]:
    made = causal("llama", 1), causal("llama", 2)
    for side in made:
        side.model.double()
    return made


@pytest.mark.parametrize(
    ("kind", "changes", "one_pass"),
    [
        ("llama-tied", {}, True),
        ("granite", {}, True),
        ("gemma2", {"final_logit_softcapping": 3.0}, False),
    ],
)
def test_heads_that_scale_or_cap_their_logits(
    kind: str, changes: dict[str, Any], one_pass: bool
) -> None:
    learner, guide = (causal(kind, seed, **changes) for seed in (1, 2))
    assert (learner.projection is not None) is one_pass
    with sizes(7, 3):
        compared(learner, guide, torch.float32, (1.0, 0.1), {"rtol": 1e-4, "atol": 1e-5})


def test_a_frozen_head_gets_no_gradient_and_lets_it_through() -> None:
    learner, guide = (causal("llama", seed) for seed in (1, 2))
    learner.model.requires_grad_(False)
    with sizes(7, 3):
        compared(learner, guide, torch.float32, (1.0, 0.1), {"rtol": 1e-4, "atol": 1e-6})


def test_products_in_bfloat16_have_their_sums_in_float32() -> None:
    learner, guide = (causal("llama", seed) for seed in (1, 2))
    with sizes(7, 3):
        compared(
            learner, guide, torch.float32, (1.0, 0.1), {"rtol": 2e-2, "atol": 2e-2},
            torch.autocast("cpu", torch.bfloat16),
        )  # fmt: skip


def test_nothing_is_differentiated_where_nothing_is_trained() -> None:
    learner, guide = (causal("llama", seed) for seed in (1, 2))
    with torch.no_grad():
        found = output_losses(hidden(1), learner, hidden(2), guide, LABELS, 1.0, 0.1)
    assert not found.total.requires_grad
    torch.testing.assert_close(found.total, found.ce + 0.1 * found.kl)


def test_teachers_far_from_the_student_and_equal_to_it_are_no_edge() -> None:
    learner = causal("llama", 1)
    same = output_losses(hidden(1), learner, hidden(1), learner, LABELS, 1.0, 1.0)
    assert float(same.kl) == 0
    far = output_losses(1e4 * hidden(1), learner, 1e4 * hidden(2), learner, LABELS, 1.0, 1.0)
    expected = plain(learner.head(1e4 * hidden(1)), learner.head(1e4 * hidden(2)), 1.0, 1.0)
    torch.testing.assert_close(far.total, expected[0])


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor made here has."""

    numbers = 0

    def __torch_dispatch__(
        self, call: Any, types: Any, arguments: Any = (), more: Any = None
    ) -> Any:
        made = call(*arguments, **(more or {}))
        found = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        self.numbers = max([self.numbers, *found])
        return made


@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_no_tensor_of_tokens_times_vocabulary_exists(kind: str) -> None:
    learner, guide = (causal(kind, seed) for seed in (1, 2))
    with sizes(5, 2), Largest() as largest:
        start = hidden(1).repeat(20, 1).requires_grad_()
        labels = LABELS.repeat(20)
        found = output_losses(start, learner, hidden(2).repeat(20, 1), guide, labels, 1.0, 0.1)
        found.total.backward()
    whole = len(labels) * VOCABULARY
    hiddens, chunk = len(labels) * WIDTH, 5 * VOCABULARY
    assert largest.numbers == max(hiddens, chunk, VOCABULARY * WIDTH) < whole


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_cosine_distance_is_torchs_own(dtype: torch.dtype) -> None:
    near = {"rtol": 1e-9, "atol": 1e-12} if dtype is torch.float64 else {"rtol": 2e-2, "atol": 1e-3}
    a, b = (hidden(1, dtype).requires_grad_() for _ in "ab")
    found = cosine_distance(a[None], hidden(2, dtype)[None])
    exact = (x if dtype is torch.float64 else x.float() for x in (b, hidden(2, dtype)))
    expected = 1 - functional.cosine_similarity(*exact, dim=-1).mean()
    torch.testing.assert_close(found, expected, **near)
    (mine,), (other,) = torch.autograd.grad(found, a), torch.autograd.grad(expected, b)
    torch.testing.assert_close(mine, other, **near)


class Launches(TorchDispatchMode):
    """How many operations are asked of a device; views of what is there already cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.namespace == "aten" and not func.is_view
        return func(*args, **(kwargs or {}))


def test_a_micro_batch_is_a_few_hundred_launches_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four sequences of 2048 tokens and a vocabulary of 151,936, in bfloat16."""
    with monkeypatch.context() as patch:
        card = described(H100, patch)
    pretend(card, monkeypatch)
    with FakeTensorMode(), Launches() as launched:
        weight = torch.empty(151936, 2560, dtype=torch.bfloat16, requires_grad=True)
        final = torch.empty(8192, 2560, dtype=torch.bfloat16, requires_grad=True)
        head: Any = SimpleNamespace(projection=(weight, 1.0))
        labels = torch.empty(8192, dtype=torch.long)
        found = output_losses(final, head, final.detach(), head, labels, 1.0, 0.1)
        found.total.backward()
    assert launched.count < 400
