"""What members answer in conversations, against passes without padding and kept keys."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from boomerang.family.composition import Composition, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.quality import generation
from boomerang.quality.__main__ import main
from boomerang.quality.generation import Writer
from boomerang.tokens.chats import Chats
from tests.distill.jobs import TEMPLATE, events, save_conversations, save_texts, save_tokenizer
from tests.support.models import KEPT, LAYERS, VOCABULARY, duo, each, following, model

ASKED = ((5, 6, 7), (8, 9, 10, 11, 12, 13, 14), (3,), (20, 21, 22, 23))


def pair_of(kind: str) -> Couple:
    teacher = model(kind, 1)
    depth = {"n_layer" if kind == "gpt2" else "num_hidden_layers": len(KEPT)}
    student = model(kind, 2, **following(teacher, KEPT), **depth)
    for one in (teacher, student):
        one.requires_grad_(False)
    return couple(Causal(teacher), Causal(student), LayerMap(KEPT, LAYERS))


def alone(both: Couple, member: Composition, prompt: tuple[int, ...], count: int) -> list[int]:
    """Greedy tokens after a prompt, every one by a pass over all that is written so far."""
    ids = torch.tensor([prompt])
    for _ in range(count):
        ids = torch.cat([ids, both.logits(member, ids)[:, -1:].argmax(-1)], dim=1)
    return ids[0, len(prompt) :].tolist()


@pytest.mark.parametrize("kind", each())
@torch.no_grad()
def test_prompts_of_other_lengths_change_no_token(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = pair_of(kind)
    members = [Composition.of(both.layermap, code) for code in ("sssss", "bsfbs", "bssbb", "bbbbb")]
    monkeypatch.setattr(generation, "ANSWERED", 8)
    told: dict[Composition, Tensor] = {}
    continued = generation._continued

    def remembered(*given: Any) -> Tensor:
        told[given[1]] = found = continued(*given)
        return found

    monkeypatch.setattr(generation, "_continued", remembered)
    # None ends a turn: every token that a member writes is compared.
    dict(Writer.answering(both, Chats(ASKED, frozenset({VOCABULARY + 1}))).each(members))
    for member in members:
        assert told[member].tolist() == [alone(both, member, prompt, 8) for prompt in ASKED]


def count_passes(both: Couple, monkeypatch: pytest.MonkeyPatch, ends: set[int]) -> int:
    passes = 0

    def count(_: object, arguments: tuple[Tensor], __: object) -> None:
        nonlocal passes
        passes += arguments[0].shape[0] * arguments[0].shape[1]

    layers = [layer for side in (both.teacher, both.student) for layer in side.layers]
    handles = [layer.register_forward_hook(count) for layer in layers]
    monkeypatch.setattr(generation, "ANSWERED", 16)
    members = members_of(both.layermap, last_to_first(both.layermap))
    dict(Writer.answering(both, Chats(ASKED, frozenset(ends))).each(members))
    for handle in handles:
        handle.remove()
    return passes


def test_answers_cost_a_pass_for_each_token_and_end_with_the_last_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = pair_of("llama")
    # As long as the longest of four prompts: 7 tokens, and 15 that are read again. Members of
    # order `last`: teacher 5-7 after three student layers, 2-7 after one.
    reading, writing = 4 * (7 + 15), 4 * 15
    bound = reading * 8 + reading * (8 + 5 + 3 + 6) + writing * (5 + 6 + 7)
    assert count_passes(both, monkeypatch, {VOCABULARY + 1}) == bound
    assert count_passes(both, monkeypatch, set(range(VOCABULARY))) == bound - writing * 18 - (
        writing * 8
    )


def test_agreement_and_repetition_end_where_turns_end(monkeypatch: pytest.MonkeyPatch) -> None:
    both = pair_of("llama")
    monkeypatch.setattr(generation, "ANSWERED", 4)
    writer = Writer.answering(both, Chats(ASKED[:2], frozenset({9})))
    theirs = torch.tensor([[5, 9, 1, 1], [6, 6, 6, 6]])
    writer = Writer(both, writer.prompts, writer.ends, theirs, writer.positions, turns=True)
    found = writer._continuation(
        own=torch.tensor([[9, 9, 9, 9], [9, 6, 6, 6]]),
        said=torch.tensor([[5, 8, 1, 1], [6, 6, 6, 1]]),
    )
    assert found.agreement == pytest.approx(4 / 6)
    assert (found.stopped, found.empty, found.repetition) == (1, 1, 0)
    assert writer._continuation(theirs, theirs).json() == {
        "repetition": 0, "empty": 0, "agreement": 1, "stopped": 0.5,
    }  # fmt: skip


def always(made: Any, token: int) -> None:
    """Have a model say one token, whatever it reads."""
    with torch.no_grad():
        made.transformer.wte.weight[token] = 10.0
        made.transformer.ln_f.weight.zero_()
        made.transformer.ln_f.bias.fill_(1.0)


def test_members_are_checked_on_conversations_by_the_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = duo(tmp_path, "gpt2")
    always(made.teacher, 2)
    always(made.student, 7)
    made.teacher.save_pretrained(made.teacher_folder)
    made.student.save_pretrained(made.student_folder)
    save_tokenizer(made.teacher_folder, TEMPLATE)
    job = {
        "teacher": str(made.teacher_folder), "student": str(made.student_folder),
        "data": str(save_conversations(tmp_path / "talks")), "order": "last",
        "sequence_length": 16, "heldout_tokens": 128,
    }  # fmt: skip

    def told() -> list[dict[str, Any]]:
        (tmp_path / "job.json").write_text(json.dumps(job))
        assert main([str(tmp_path / "job.json")]) == 0
        said = events(capsys.readouterr().out)
        return [event for event in said if event["event"] == "member"]

    student, *_, teacher = told()
    assert teacher["generation"] == {"repetition": 0, "empty": 1, "agreement": 1, "stopped": 1}
    assert student["generation"]["stopped"] == student["generation"]["agreement"] == 0
    assert student["flags"][0].startswith("It repeats itself")
    # Plain text is continued as before.
    job["data"] = str(save_texts(tmp_path / "texts"))
    assert "stopped" not in told()[0]["generation"]
