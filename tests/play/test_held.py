"""What is held of a pair, and which pairs are refused."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from boomerang.errors import BadComposition, BadRecipe, CorruptCheckpoint, UnsupportedArchitecture
from boomerang.play.held import Held
from boomerang.play.job import Ask, PlayJob
from boomerang.play.writing import answer
from tests.distill.jobs import save_tokenizer
from tests.support.models import Duo, duo, edit_json


def job(made: Duo, **more: object) -> PlayJob:
    sides = {"teacher": made.teacher_folder, "student": made.student_folder}
    return PlayJob.model_validate(sides | more)


def test_embeddings_that_are_equal_are_held_once(tmp_path: Path) -> None:
    for frozen in (True, False):
        made = duo(tmp_path / str(frozen), "qwen3-tied", frozen=frozen)
        save_tokenizer(made.teacher_folder)
        held = Held.open(job(made))
        teacher, student = held.couple.teacher, held.couple.student
        for mine, theirs in ((student.tokens, teacher.tokens), (student.model.lm_head,) * 2):
            assert (mine.weight is theirs.weight) == (frozen or mine is theirs)
        assert student.tied
        assert teacher.tied
        once = sum(p.nbytes for side in (teacher, student) for p in side.model.parameters())
        embeddings = teacher.tokens.weight.nbytes * frozen
        assert 0 <= held.memory - (once - embeddings) < 1024


def test_members_are_kept_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boomerang.play.held._KEPT", 2)
    made = duo(tmp_path, "llama")
    save_tokenizer(made.teacher_folder)
    held = Held.open(job(made, context=10_000))
    assert held.context == 64
    first, _ = held.member("sssss+sss")
    assert held.member("sssss+sss")[0] is first
    held.member("bbbbb+ttt")
    held.member("sssbb+stt")
    assert held.member("sssss+sss")[0] is not first
    with pytest.raises(BadComposition, match="no composition"):
        held.member("sssss+xxx")


def test_a_student_of_another_dtype_is_rounded_as_it_is_in_a_member(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    save_tokenizer(made.teacher_folder)
    made.teacher.to(torch.bfloat16).save_pretrained(made.teacher_folder)
    held = Held.open(job(made, dtype="float32"))
    own = held.couple.student.layers[0].mlp.up_proj.weight
    stored = made.student.model.layers[0].mlp.up_proj.weight
    assert own.dtype is torch.float32
    assert torch.equal(own, stored.to(torch.bfloat16).float())
    assert not torch.equal(own, stored)


def test_what_writes_no_text_is_refused(tmp_path: Path) -> None:
    shape = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 40}
    for name, depth in (("teacher", 4), ("student", 2)):
        BertForMaskedLM(BertConfig(**shape, num_hidden_layers=depth)).save_pretrained(
            tmp_path / name
        )
    with pytest.raises(UnsupportedArchitecture, match="writes no text"):
        Held.open(PlayJob(teacher=tmp_path / "teacher", student=tmp_path / "student", kept=[0, 2]))


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    with pytest.raises(CorruptCheckpoint, match="tokenizer"):
        Held.open(job(made))
    save_tokenizer(made.teacher_folder)
    with pytest.raises(BadRecipe, match="no device 'nowhere'"):
        Held.open(job(made, device="nowhere"))


def test_settings_of_the_teacher_that_are_not_for_one_text_at_a_time_are_left(
    tmp_path: Path,
) -> None:
    made = duo(tmp_path, "gpt2")
    save_tokenizer(made.teacher_folder)
    edit_json(
        made.teacher_folder / "generation_config.json", num_beams=3, eos_token_id=None,
        cache_implementation="static", max_length=7, do_sample=True, top_k=3,
    )  # fmt: skip
    held = Held.open(job(made))
    assert held.context == 64
    told: list[dict[str, object]] = []
    asked = {"code": "sssss+sss", "prompt": "w1 w2", "max_tokens": 12, "temperature": 1e-6}
    for at in "ab":
        ask = Ask.read({"id": at, **asked})
        answer(held, ask, lambda event, **of: told.append({"event": event, **of}), lambda: False)
    texts = ["".join(str(e["text"]) for e in told if e["event"] == "text" and e["id"] == at)
             for at in "ab"]  # fmt: skip
    assert texts[0] == texts[1] != ""
    assert told[-1]["completion_tokens"] == 12
