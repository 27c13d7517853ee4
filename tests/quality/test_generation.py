"""What members write, against a plain greedy loop of transformers, and what stops a member."""

import math
from pathlib import Path

import pytest
import torch

from boomerang.composition import Composition
from boomerang.layermap import LayerMap
from boomerang.quality.gates import Measured, flags
from boomerang.quality.generation import Continuation, Writer
from boomerang.quality.measure import Quality
from boomerang.quality.models import Causal, Couple, couple
from tests.models import KEPT, LAYERS, VOCABULARY, duo

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


def test_agreement_is_with_the_teachers_own_text(both: Couple) -> None:
    writer = Writer.over(both, WINDOWS, end=2)
    whole = Composition.patched(both.layermap, both.layermap.long)
    assert writer.check(whole).agreement == 1
    student = writer.check(Composition.patched(both.layermap, ()))
    assert 0 <= student.agreement < 0.5


def test_a_model_that_says_one_token_repeats_itself(both: Couple, tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    with torch.no_grad():
        made.student.lm_head.weight.zero_()
        made.student.lm_head.weight[7] = 1000 * torch.ones(16)
    stuck = couple(both.teacher, Causal(made.student), LayerMap(KEPT, LAYERS))
    student = Composition.patched(stuck.layermap, ())
    said = Writer.over(stuck, WINDOWS, end=7).check(student)
    repeating = Writer.over(stuck, WINDOWS, end=2).check(student)
    # With noise in the hidden states the one row wins or loses to zeros: token 7 or token 0.
    assert repeating.repetition > 0.6
    assert said.empty > 0
    assert repeating.empty == 0


def measured(
    kl: float, repetition: float = 0.1, empty: float = 0.0, perplexity: float = 20.0
) -> Measured:
    return Measured(7, Quality(perplexity, kl), Continuation(repetition, empty, 0.5))


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
