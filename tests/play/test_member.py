"""A member put together by reference is the one that is assembled: its logits and its text."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from boomerang.assembly.bytefile import write_folder
from boomerang.assembly.stitch import member_files
from boomerang.family.composition import Composition, composition_of
from boomerang.family.member_config import member_config
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.play.member import put_together
from tests.support.models import KINDS, VOCABULARY, Duo, duo, each

IDS = torch.randint(3, VOCABULARY, (1, 9), generator=torch.Generator().manual_seed(3))
LONG: dict[str, Any] = {
    "max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0,
}  # fmt: skip
"""Greedy, and past every window of the tiny models."""


def held(made: Duo) -> Couple:
    sides = (load(at, dtype=None) for at in (made.teacher_folder, made.student_folder))
    return couple(*sides, made.pair.layermap)


def by_reference(made: Duo, both: Couple, code: str) -> Any:
    composition = composition_of(both.layermap, code)
    return put_together(both, composition, member_config(made.pair, composition))


@pytest.mark.long("every architecture, assembled and loaded")
@pytest.mark.parametrize(
    ("kind", "choices"), [*each(KINDS, "bsfbs"), ("llama-tied", "sssbb"), ("gemma3_text", "sssbb")]
)
def test_it_is_the_member_that_is_assembled(kind: str, choices: str, tmp_path: Path) -> None:
    made = duo(tmp_path, kind)
    both, composition = held(made), Composition.of(made.pair.layermap, choices)
    write_folder(member_files(made.pair, composition), tmp_path / "alone")
    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "alone")
    ours = by_reference(made, both, composition.code)
    with torch.no_grad():
        assert torch.equal(ours(IDS).logits, alone(IDS).logits)
    written = alone.generate(IDS, **LONG)
    assert torch.equal(ours.generate(IDS, **LONG), written)
    # The student proposes, the member decides: the same text.
    student = by_reference(made, both, "sssss+sss")
    assert torch.equal(ours.generate(IDS, **LONG, assistant_model=student), written)


def test_it_has_no_parameter_of_its_own_and_changes_none_of_theirs(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    both = held(made)
    theirs = {p.data_ptr() for side in (both.teacher, both.student) for p in parameters(side)}
    models = [by_reference(made, both, code) for code in ("sssbb+stt", "bssbs+tss", "bbbbb+ttt")]
    for model in models:
        assert {p.data_ptr() for p in model.parameters()} <= theirs
        places = [layer.self_attn.layer_idx for layer in model.model.layers]
        assert places == list(range(model.config.num_hidden_layers))
    for side in (both.teacher, both.student):
        assert [at.self_attn.layer_idx for at in side.layers] == list(range(len(side.layers)))
        assert side.config.num_hidden_layers == len(side.layers)
        assert all(layer.self_attn.config is side.config for layer in side.layers)


def parameters(side: Causal) -> list[torch.nn.Parameter]:
    return list(side.model.parameters())


@pytest.mark.slow("models of 36 layers are made, saved and loaded")
def test_any_of_36_layers_is_there_within_ten_milliseconds(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama", kept=range(0, 36, 2), num_hidden_layers=36)
    both, pair = held(made), made.pair
    took = []
    for patched in range(18):
        composition = composition_of(both.layermap, "s" * (18 - patched) + "b" * patched + "+sss")
        # Of the processor, as other programs may have it meanwhile.
        begun = time.thread_time()
        put_together(both, composition, member_config(pair, composition))
        took.append(time.thread_time() - begun)
    assert sorted(took)[9] < 0.01
