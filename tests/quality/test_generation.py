"""What members write, against a plain greedy loop of transformers, and what stops a member."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.quality import generation
from boomerang.quality.gates import Measured, flags
from boomerang.quality.generation import Continuation, Writer
from boomerang.quality.measure import Quality
from tests.support.models import KEPT, LAYERS, VOCABULARY, duo, each, following, model

WINDOWS = torch.randint(3, VOCABULARY, (20, 25), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Couple:
    made = duo(tmp_path_factory.mktemp("duo"), "llama")
    for one in (made.teacher, made.student):
        one.requires_grad_(False)
    return couple(Causal(made.teacher), Causal(made.student), LayerMap(KEPT, LAYERS))


def test_the_teacher_writes_what_transformers_writes(both: Couple) -> None:
    writer = Writer.over(both, WINDOWS, end=2)
    model = both.teacher.model
    model.generation_config.eos_token_id = None
    said = model.generate(
        writer.prompts,
        attention_mask=torch.ones_like(writer.prompts),
        max_new_tokens=32,
        do_sample=False,
        pad_token_id=0,
    )
    assert torch.equal(said[:, writer.prompts.shape[1] :], writer.of_teacher)
    assert writer.of_teacher.shape == (8, 32)


def without_a_cache(both: Couple, member: Composition, prompts: Tensor, count: int) -> Tensor:
    """Greedy tokens (P, count), every one by a pass over all that is written so far."""
    ids = prompts
    for _ in range(count):
        ids = torch.cat([ids, both.logits(member, ids)[:, -1:].argmax(-1)], dim=1)
    return ids[:, prompts.shape[1] :]


@pytest.mark.parametrize("kind", each())
@torch.no_grad()
def test_kept_keys_and_values_change_no_token(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of members whose layers have the same index in both models, beginnings alike and not."""
    teacher = model(kind, 1)
    depth = {"n_layer" if kind == "gpt2" else "num_hidden_layers": len(KEPT)}
    student = model(kind, 2, **following(teacher, KEPT), **depth)
    pair = couple(Causal(teacher), Causal(student), LayerMap(KEPT, LAYERS))
    members = [Composition.of(pair.layermap, code) for code in ("sssss", "bsfbs", "bssbb", "bbbbb")]
    # More than the windows of those that attend within one (4), and no more than that needs.
    monkeypatch.setattr(generation, "PROMPTS", 2)
    monkeypatch.setattr(generation, "WRITTEN", 8)
    told: dict[tuple[Choice, ...], Tensor] = {}

    def remembered(*given: Any) -> Tensor:
        told[given[1].choices] = found = continued(*given)
        return found

    continued = generation._continued
    monkeypatch.setattr(generation, "_continued", remembered)
    writer = Writer.over(pair, WINDOWS, end=2)
    dict(writer.each(members))
    for member in members:
        wanted = without_a_cache(pair, member, writer.prompts, 8)
        assert torch.equal(told[member.choices], wanted)


def test_writing_costs_a_pass_for_each_token_and_not_for_each_beginning(both: Couple) -> None:
    """By passes of one token through one layer, for members of 5 to 8 layers and their teacher."""
    members = list(members_of(both.layermap, both.layermap.long))
    passes = 0

    def count(_: object, arguments: tuple[Tensor], __: object) -> None:
        nonlocal passes
        passes += arguments[0].shape[0] * arguments[0].shape[1]

    layers = [layer for side in (both.teacher, both.student) for layer in side.layers]
    handles = [layer.register_forward_hook(count) for layer in layers]
    dict(Writer.over(both, WINDOWS.repeat(1, 3), end=2).each(members))
    for handle in handles:
        handle.remove()
    # The teacher reads 8 beginnings of 32 tokens and writes 31 that are read again. Its text is
    # read once by it, and by the members from where they begin to differ (order `first`: layers
    # 0 to 4 of the student, its layers 2 to 4 after two of the teacher, 3 and 4 after five).
    teacher, reading = 8 * (32 + 31) * 8, 8 * (32 + 31) * (8 + 5 + 3 + 2)
    assert passes == teacher + reading + 8 * 31 * (5 + 6 + 7)


def test_agreement_is_with_the_teachers_own_text(both: Couple) -> None:
    writer = Writer.over(both, WINDOWS, end=2)
    whole = Composition.patched(both.layermap, both.layermap.long)
    student = Composition.patched(both.layermap, ())
    said = dict(writer.each([student, whole]))
    assert said[whole].agreement == 1
    known = torch.cat([writer.prompts, writer.of_teacher], dim=1)[:, :-1]
    likely = both.logits(student, known)[:, writer.prompts.shape[1] - 1 :].argmax(-1)
    assert said[student].agreement == float((likely == writer.of_teacher).float().mean()) < 0.5


def test_a_model_that_says_one_token_repeats_itself(both: Couple, tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    with torch.no_grad():
        made.student.lm_head.weight.zero_()
        made.student.lm_head.weight[7] = 1000 * torch.ones(16)
    stuck = couple(both.teacher, Causal(made.student), LayerMap(KEPT, LAYERS))
    student = Composition.patched(stuck.layermap, ())
    said = dict(Writer.over(stuck, WINDOWS, end=7).each([student]))[student]
    repeating = dict(Writer.over(stuck, WINDOWS, end=2).each([student]))[student]
    # With noise in the hidden states the one row wins or loses to zeros: token 7 or token 0.
    assert repeating.repetition > 0.6
    assert said.empty > 0
    assert repeating.empty == 0


def measured(
    kl: float, repetition: float = 0.1, empty: float = 0.0, perplexity: float = 20.0
) -> Measured:
    return Measured(7, Quality(perplexity, kl), Continuation(repetition, empty, 0.5))


def test_a_member_that_does_not_end_its_turns_is_told_so() -> None:
    def talked(stopped: float) -> Measured:
        return Measured(7, Quality(20.0, 0.0), Continuation(0.1, 0.0, 0.5, stopped))

    found = flags([talked(0.25), talked(0.75), talked(0.875)])
    assert found[0] == (
        "It does not end its turns: 25% of them within 96 tokens, the teacher 88%.",
    )
    assert found[1:] == [(), ()]


def test_flags_name_what_is_wrong_with_its_figures() -> None:
    ladder = [
        measured(0.40),
        measured(0.407),
        measured(0.45),
        measured(0.30, repetition=0.9),
        measured(0.20, empty=0.5),
        measured(math.inf),
        measured(0.1, perplexity=20.3),
        measured(0.05, perplexity=20.8),
        measured(0.0),
    ]
    found = flags(ladder)
    assert [len(why) for why in found] == [0, 0, 1, 1, 1, 2, 0, 1, 0]
    assert "0.45" in found[2][0]
    assert "0.407" in found[2][0]
    assert "90%" in found[3][0]
    assert "50%" in found[4][0]
    assert "not finite" in found[5][0]
    assert "perplexity is 20.8" in found[7][0]


def test_members_that_wrote_nothing_are_judged_by_their_loss() -> None:
    ladder = [Measured(7, Quality(20.0, 0.4)), Measured(12, Quality(18.0, 0.0))]
    assert flags(ladder) == [(), ()]
