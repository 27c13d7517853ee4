"""The three losses against the formulas written out, values and gradients."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from boomerang.distill.objective import losses as ours
from boomerang.distill.objective.losses import Weights, distillation_losses
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from tests.support.models import KEPT, LAYERS, VOCABULARY, duo

IDS = torch.randint(VOCABULARY, (3, 13), generator=torch.Generator().manual_seed(3))
INPUTS, LABELS = IDS[:, :-1], IDS[:, 1:]
MAP = LayerMap(KEPT, LAYERS)
WHOLE = Composition.of(MAP, "b" * len(KEPT))
PLAIN = Composition.patched(MAP, ())
PUBLISHED = Weights(ce=1.0, kl=0.1, cosine=2.0)


@pytest.fixture(params=["llama", "qwen3-tied", "gpt2"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Couple:
    made = duo(tmp_path, request.param)
    made.teacher.requires_grad_(False)
    return couple(Causal(made.teacher), Causal(made.student), MAP)


def computed(both: Couple, member: Composition, *, frozen: bool = False) -> ours.Losses:
    with torch.no_grad():
        teacher = both.trace(WHOLE, INPUTS)
    student = both.trace(member, INPUTS, teacher)
    return distillation_losses(both, member, student, teacher, LABELS, PUBLISHED, frozen=frozen)


def gradients(both: Couple, total: torch.Tensor) -> list[torch.Tensor]:
    parameters = list(both.student.model.parameters())
    found = torch.autograd.grad(total, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def written_out(
    both: Couple, rows: torch.Tensor | slice = slice(None)
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """CE, KL and Σ cosine distance by the models' own forward passes and plain arithmetic."""
    student = both.student.model(INPUTS, output_hidden_states=True)
    with torch.no_grad():
        teacher = both.teacher.model(INPUTS, output_hidden_states=True)
    q, p = student.logits.softmax(-1), teacher.logits.softmax(-1)
    ce = -q.gather(-1, LABELS[..., None]).log().flatten()[rows].mean()
    kl = (p * (p.log() - q.log())).sum(-1).flatten()[rows].mean()
    # transformers: embeddings, then each layer's output, the last one after the final norm.
    pairs = [(0, 0)] + [(j + 1, block.stop) for j, block in enumerate(MAP.blocks)]
    distances = []
    for mine, theirs in pairs:
        a, b = student.hidden_states[mine], teacher.hidden_states[theirs]
        distance = 1 - (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))
        distances.append(distance.flatten()[rows].mean())
    return ce, kl, torch.stack(distances).sum()


def assert_written_out(both: Couple, found: ours.Losses, rows: torch.Tensor | None = None) -> None:
    ce, kl, distance = written_out(both, rows)
    expected = ce + 0.1 * kl + 2.0 / (len(KEPT) + 1) * distance
    torch.testing.assert_close(found.total, expected)
    torch.testing.assert_close(found.ce, ce.detach())
    torch.testing.assert_close(found.kl, kl.detach())
    torch.testing.assert_close(found.cosine, distance.detach() / (len(KEPT) + 1))
    for mine, plain in zip(gradients(both, found.total), gradients(both, expected), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-6)


def test_values_and_gradients_are_the_published_formula(both: Couple) -> None:
    assert_written_out(both, computed(both, PLAIN))


def test_chunks_change_neither_values_nor_gradients(
    both: Couple, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = computed(both, PLAIN)
    expected = gradients(both, whole.total)
    monkeypatch.setattr(Accelerator, "logits", VOCABULARY * 7)
    parts = computed(both, PLAIN)
    torch.testing.assert_close(parts.total, whole.total)
    for mine, plain in zip(gradients(both, parts.total), expected, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-6)


SOME = torch.tensor([0, 1, 5, 11, 12, 23, 30, 35])
"""Places among the 36 whose next token counts."""


def some(both: Couple, rows: torch.Tensor | None, member: Composition = PLAIN) -> ours.Losses:
    with torch.no_grad():
        teacher = both.trace(WHOLE, INPUTS)
    student = both.trace(member, INPUTS, teacher)
    return distillation_losses(
        both, member, student, teacher, LABELS, PUBLISHED, frozen=False, rows=rows
    )


@pytest.mark.parametrize("logits", [VOCABULARY * 3, 2**25])
def test_where_few_tokens_count_the_losses_are_the_formula_over_those(
    both: Couple, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accelerator, "logits", logits)
    assert_written_out(both, some(both, SOME), SOME)


def test_where_every_token_counts_it_is_as_if_none_had_been_named(both: Couple) -> None:
    all_of_them, whole = some(both, torch.arange(36)), some(both, None)
    torch.testing.assert_close(all_of_them.total, whole.total)
    expected = gradients(both, whole.total)
    for mine, plain in zip(gradients(both, all_of_them.total), expected, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("patches", [(), (3,)])
def test_where_no_token_counts_nothing_is_lost_or_learnt(both: Couple, patches: list[int]) -> None:
    found = some(both, torch.arange(0), Composition.patched(MAP, patches))
    assert [x.item() for x in (found.total, found.ce, found.kl, found.cosine)] == [0.0] * 4
    assert all(not g.any() for g in gradients(both, found.total))


def test_a_student_that_is_its_teacher_loses_nothing_but_cross_entropy(tmp_path: Path) -> None:
    teacher = Causal(duo(tmp_path, "llama").teacher)
    everything = LayerMap(tuple(range(LAYERS)), LAYERS)
    both = couple(teacher, teacher, everything)
    whole = Composition.of(everything, "s" * LAYERS)
    trace = both.trace(whole, INPUTS)
    found = distillation_losses(both, whole, trace, trace, LABELS, PUBLISHED, frozen=False)
    assert float(found.kl) == pytest.approx(0, abs=1e-7)
    assert float(found.cosine) == pytest.approx(0, abs=1e-6)


def test_a_patched_pass_trains_the_layers_that_remain(both: Couple) -> None:
    member = Composition.patched(MAP, [3])
    assert "".join(member.choices) == "sssbb"
    computed(both, member).total.backward()
    student = both.student
    trained = [any(p.grad is not None for p in layer.parameters()) for layer in student.layers]
    assert trained == [True, True, True, False, False]
    assert student.last_norm.weight.grad is None
    assert all(p.grad is None for p in both.teacher.model.parameters())


def test_a_patched_pass_compares_the_layers_that_remain_and_the_final_output(both: Couple) -> None:
    member = Composition.patched(MAP, [0, 2])
    assert "".join(member.choices) == "bbbss"
    teacher, student = both.trace(WHOLE, INPUTS), both.trace(member, INPUTS)
    pairs = [*ours.aligned(member, student, teacher, frozen=False)]
    assert [pair[0] is wanted for pair, wanted in zip(
        pairs, (student.ends[3], student.final), strict=True
    )] == [True, True]  # fmt: skip
    # What the teacher's own blocks give at the beginning is what it gave.
    torch.testing.assert_close(student.ends[2], teacher.ends[2])


def test_frozen_embeddings_leave_their_pair_out(both: Couple) -> None:
    teacher, student = both.trace(WHOLE, INPUTS), both.trace(PLAIN, INPUTS)
    loose = [*ours.aligned(PLAIN, student, teacher, frozen=False)]
    assert len(loose) == len(KEPT) + 1
    assert len([*ours.aligned(PLAIN, student, teacher, frozen=True)]) == len(KEPT)


@pytest.mark.parametrize("kind", ["qwen3-tied", "gpt2", "gemma2"])
def test_documents_kept_apart_are_as_if_each_were_alone(kind: str, tmp_path: Path) -> None:
    made = duo(tmp_path, kind)
    together = couple(Causal(made.teacher), Causal(made.student), MAP)
    positions = torch.tensor([[*range(5), *range(7)]]).expand(3, -1)
    for member in (WHOLE, PLAIN, Composition.patched(MAP, [0])):
        whole = together.trace(member, INPUTS, positions=positions)
        parts = [together.trace(member, part) for part in (INPUTS[:, :5], INPUTS[:, 5:])]
        torch.testing.assert_close(
            whole.final, torch.cat([p.final for p in parts], 1), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("patches", [(), (0, 2), (3,)])
def test_activations_made_again_give_the_same_gradients(both: Couple, patches: list[int]) -> None:
    member = Composition.patched(MAP, patches)
    kept, again = (
        gradients(each, computed(each, member).total)
        for each in (both, replace(both, recompute=True))
    )
    for mine, other in zip(kept, again, strict=True):
        torch.testing.assert_close(mine, other)


def test_activations_made_again_are_not_kept(both: Couple) -> None:
    def held(each: Couple) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t
        ):
            each.trace(PLAIN, INPUTS)
        return sum(sizes)

    assert held(replace(both, recompute=True)) < held(both) / 2
