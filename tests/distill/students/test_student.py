"""A student begins as the kept layers, and is written whole or not at all."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from boomerang.checkpoint.files import travels
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.students import student as students
from boomerang.distill.students import student as students_student
from boomerang.errors import TrainingFailed
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.modules.couple import couple
from boomerang.modules.load import load
from tests.distill.jobs import save_teacher
from tests.support.models import KEPT, LAYERS, VOCABULARY, each

IDS = torch.randint(VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(3))
MAP = LayerMap(KEPT, LAYERS)


def begun(folder: Path, kind: str, **changes: object) -> tuple[Causal, Causal, Path]:
    save_teacher(folder / "teacher", kind, **changes)
    teacher = load(folder / "teacher", dtype=None)
    config = students.student_config(Checkpoint.open(folder / "teacher"), MAP)
    return teacher, students.initialise(teacher, config, MAP), folder / "teacher"


@torch.no_grad()
@pytest.mark.parametrize("kind", each())
def test_a_new_student_is_the_teacher_pruned_and_survives_being_written(
    kind: str, tmp_path: Path
) -> None:
    teacher, student, folder = begun(tmp_path, kind)
    both = couple(teacher, student, MAP)
    expected = both.logits(Composition.of(MAP, "f" * len(MAP.kept)), IDS)
    torch.testing.assert_close(both.logits(Composition.of(MAP, "s" * len(KEPT)), IDS), expected)
    assert student.tied == teacher.tied
    students_student.write(student, folder, tmp_path / "out", MAP, {"frozen_embeddings": True})
    loaded, info = AutoModelForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(info[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    torch.testing.assert_close(loaded(IDS).logits, expected)
    pair = Pair.of(Checkpoint.open(folder), Checkpoint.open(tmp_path / "out"))
    assert (pair.layermap, pair.shared_embeddings) == (MAP, True)


def test_per_layer_lists_follow_the_layers(tmp_path: Path) -> None:
    types = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"] * 2
    changes = {"layer_types": types, "sliding_window": 4, "use_sliding_window": True}
    teacher, student, _ = begun(tmp_path, "qwen3-tied", **changes)
    assert student.kinds == [types[index] for index in KEPT]
    couple(teacher, student, MAP)


def test_a_student_is_stored_in_the_teachers_dtype_with_its_very_embeddings(tmp_path: Path) -> None:
    save_teacher(tmp_path / "f32", "qwen3-tied")
    half = AutoModelForCausalLM.from_pretrained(tmp_path / "f32", dtype=torch.bfloat16)
    save_teacher(tmp_path / "teacher", "qwen3-tied")
    half.save_pretrained(tmp_path / "teacher")
    teacher = load(tmp_path / "teacher", dtype=None)
    config = students.student_config(Checkpoint.open(tmp_path / "teacher"), MAP)
    student = students.initialise(teacher, config, MAP)
    students.freeze(student)
    assert "model.embed_tokens.weight" not in students.trained(student)
    assert "lm_head.weight" not in students.trained(student)
    students_student.write(
        student, tmp_path / "teacher", tmp_path / "out", MAP, {"frozen_embeddings": True}
    )
    name = "model.embed_tokens.weight"
    with (
        safe_open(tmp_path / "out/model.safetensors", "pt") as written,
        safe_open(tmp_path / "teacher/model.safetensors", "pt") as original,
    ):
        assert {written.get_slice(key).get_dtype() for key in written.keys()} == {"BF16"}  # noqa: SIM118
        assert "lm_head.weight" not in written.keys()  # noqa: SIM118
        assert written.get_tensor(name).equal(original.get_tensor(name))


def test_embeddings_that_changed_are_not_called_frozen(tmp_path: Path) -> None:
    _, student, folder = begun(tmp_path, "qwen3-tied")
    with torch.no_grad():
        student.tokens.weight[5, 3] += 0.01
    students_student.write(student, folder, tmp_path / "out", MAP, {"frozen_embeddings": True})
    assert json.loads((tmp_path / "out/boomerang.json").read_text())["frozen_embeddings"] is False


def test_what_is_not_finite_or_is_cut_short_never_becomes_a_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, student, folder = begun(tmp_path, "gpt2")
    out, record = tmp_path / "out", {"frozen_embeddings": False}
    weight = student.layers[1].mlp.c_fc.weight
    with torch.no_grad():
        before = weight.clone()
        weight[0, 0] = torch.inf
    with pytest.raises(TrainingFailed, match=r"h\.1\.mlp\.c_fc\.weight"):
        students_student.write(student, folder, out, MAP, record)
    assert not out.exists()
    with torch.no_grad():
        weight.copy_(before)
    with monkeypatch.context() as patched:
        patched.setattr(
            students_student, "verify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            students_student.write(student, folder, out, MAP, record)
    assert not out.exists()
    students_student.write(student, folder, out, MAP, record)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "teacher"]
    with pytest.raises(TrainingFailed, match="never overwritten"):
        students_student.write(student, folder, out, MAP, record)


TOKENIZERS = [
    "tokenizer.json", "tokenizer.4.0.0.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "vocab.bpe", "merges.txt", "tekken.json",
    "tokenizer.model", "tokenizer.model.v3", "tokenizer.model.v7m1", "spiece.model",
    "sentencepiece.bpe.model", "qwen.tiktoken", "chat_template.jinja", "chat_template.json",
    "additional_chat_templates/tool_use.jinja",
]  # fmt: skip
"""Of every kind of tokenizer, the versioned ones among them."""


def test_a_tokenizer_of_any_kind_travels_and_stands_beside_the_student(tmp_path: Path) -> None:
    _, student, folder = begun(tmp_path, "llama")
    strange = ["tokenization_own.py", "chat_template.py", "preprocessor_config.json", "other.model"]
    for name in (*TOKENIZERS, *strange):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert [name for name in TOKENIZERS if not travels(name)] == []
    students_student.write(student, folder, tmp_path / "out", MAP, {"frozen_embeddings": True})
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")}
    assert written >= {*TOKENIZERS}
    assert not written & {*strange}


def test_frozen_embeddings_are_the_teachers_own_tensor(tmp_path: Path) -> None:
    teacher, student, _ = begun(tmp_path, "qwen3-tied")
    students.freeze(student)
    students.share(student, teacher)
    assert student.tied
    assert student.tokens.weight is teacher.tokens.weight
    assert not any("embed_tokens" in name for name in students.trained(student))
