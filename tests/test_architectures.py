"""Architectures: the names that transformers writes, old names, and what is refused and why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from boomerang.anatomy import dissect
from boomerang.architectures import ARCHITECTURES, Part, Role
from boomerang.checkpoint import SINGLE, Checkpoint
from boomerang.composition import Composition
from boomerang.errors import (
    CorruptCheckpoint,
    RemoteCode,
    StudentMismatch,
    UnsupportedArchitecture,
)
from boomerang.pair import Pair
from boomerang.stitch import member_files, place
from tests.models import KINDS, LAYERS, Duo, duo, edit_json, model, save_student
from tests.test_stitch import loaded, logits, prove, told


def edit_tensors(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    """Rewrite the weights of a folder."""
    tensors = change(dict(load_file(folder / SINGLE)))
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / SINGLE)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("patched", [set(), {3}, {0}, {0, 2, 3}], ids=str)
def test_names_and_shapes_are_those_that_transformers_saves(
    kind: str, patched: set[int], tmp_path: Path
) -> None:
    """The target config, built anew and saved by transformers, has exactly the planned tensors."""
    pair = duo(tmp_path / "duo", kind).pair
    composition = Composition.patched(pair.layermap, patched)
    folder = tmp_path / "target"
    folder.mkdir()
    member_files(pair, composition)["config.json"].write(folder / "config.json")
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        on_meta = AutoModelForCausalLM.from_config(config)
    assert type(on_meta).__name__ == pair.teacher.architecture.causal_lm
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    planned = {item.name: item.tensor.shape for item in place(pair, composition)}
    with safe_open(folder / SINGLE, "pt") as saved:
        names = set(saved.keys())
        assert planned == {name: tuple(saved.get_slice(name).get_shape()) for name in names}
    assert sum(p.numel() for p in on_meta.parameters()) == sum(
        item.tensor.parameters for item in place(pair, composition)
    )


def test_every_architecture_is_tested() -> None:
    assert {spec["model_type"] for spec in KINDS.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("kind", list(KINDS))
def test_roles_and_names_are_inverse(kind: str, tmp_path: Path) -> None:
    made = model(kind, 1)
    made.save_pretrained(tmp_path)
    anatomy = dissect(Checkpoint.open(tmp_path))
    for name, tensor in anatomy.checkpoint.tensors.items():
        role = anatomy.architecture.role(name)
        assert role is not None
        assert anatomy.architecture.name(role) == name
        assert anatomy.tensors[role] is tensor
    assert anatomy.depth == LAYERS
    assert anatomy.tied is bool(made.config.tie_word_embeddings)
    assert anatomy.tensors[anatomy.architecture.token_embeddings].shape[0] == 48


def without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}


def old_gpt2(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = without_prefix(tensors)
    for i in range(LAYERS):
        found[f"h.{i}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        found[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return found


def old_neox(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for i in range(LAYERS):
        attention = f"gpt_neox.layers.{i}.attention."
        tensors[attention + "bias"] = torch.ones(1, 1, 64, 64).tril().bool()
        tensors[attention + "masked_bias"] = torch.tensor(-1e9)
        tensors[attention + "rotary_emb.inv_freq"] = torch.ones(2)
    return tensors


def old_llama(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for i in range(LAYERS):
        tensors[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
    return tensors


def head_too(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}


def head_instead(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"lm_head.weight": tensors.pop("model.embed_tokens.weight"), **tensors}


@pytest.mark.parametrize(
    ("kind", "age"),
    [
        ("gpt2", without_prefix), ("gpt2", old_gpt2), ("gpt_neox", old_neox), ("llama", old_llama),
        ("llama-tied", head_too), ("qwen3-tied", head_too), ("llama-tied", head_instead),
    ],
)  # fmt: skip
@pytest.mark.parametrize("frozen", [False, True])
def test_old_files(
    kind: str,
    age: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
    frozen: bool,
    tmp_path: Path,
) -> None:
    made = duo(tmp_path, kind, frozen=frozen)
    edit_tensors(made.teacher_folder, age)
    for k, patched in enumerate(((), {3}, {2, 3}, {0, 2, 3})):
        composition = Composition.patched(made.pair.layermap, patched)
        member = prove(made, composition, told(made.kept, "last", k), tmp_path / f"member{k}")
        if made.teacher.config.tie_word_embeddings:
            assert member.config.tie_word_embeddings is (frozen or k in (0, 3))


def test_a_config_that_says_tied_over_a_head_of_its_own(tmp_path: Path) -> None:
    """As the published code saves an intermediate model: transformers believes the tensors."""
    loose = duo(tmp_path, "llama")
    edit_json(loose.teacher_folder / "config.json", tie_word_embeddings=True)
    assert torch.equal(logits(loaded(loose.teacher_folder)), logits(loose.teacher))
    assert not loose.pair.teacher.tied
    composition = Composition.patched(loose.pair.layermap, loose.pair.layermap.long)
    member = prove(loose, composition, told(loose.kept, "last", 3), tmp_path / "member")
    assert not member.config.tie_word_embeddings


def test_a_tied_student_of_an_untied_teacher(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    tied = model("llama-tied", 2, num_hidden_layers=len(made.kept))
    save_student(tied, made.student_folder, made.kept, LAYERS)
    again = Duo(made.teacher, tied, made.teacher_folder, made.student_folder, made.kept)
    for k, patched in enumerate(((), {3}, {2, 3}, {0, 2, 3})):
        composition = Composition.patched(again.pair.layermap, patched)
        prove(again, composition, told(again.kept, "last", k), tmp_path / f"last{k}")
    composition = Composition.patched(again.pair.layermap, {0})
    prove(again, composition, told(again.kept, "first", 1), tmp_path / "first1")


REFUSED_CONFIGS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"model_type": "mamba"}, UnsupportedArchitecture),
    ({"model_type": None}, UnsupportedArchitecture),
    ({"model_type": ["llama"]}, UnsupportedArchitecture),
    ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "m.Own"}}, RemoteCode),
    ({"quantization_config": {"quant_method": "fp8"}}, UnsupportedArchitecture),
    ({"num_nextn_predict_layers": 1}, UnsupportedArchitecture),
    ({"num_hidden_layers": 7}, CorruptCheckpoint),
    ({"num_hidden_layers": 9}, CorruptCheckpoint),
    ({"num_hidden_layers": 10**12}, CorruptCheckpoint),
    ({"num_hidden_layers": 0}, CorruptCheckpoint),
    ({"num_hidden_layers": True}, CorruptCheckpoint),
    ({"num_hidden_layers": "8"}, CorruptCheckpoint),
    ({"num_hidden_layers": None}, CorruptCheckpoint),
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    model("llama", 1).save_pretrained(folder)
    return folder


def copied(plain: Path, tmp_path: Path) -> Path:
    for path in plain.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(("config", "error"), REFUSED_CONFIGS, ids=str)
def test_configs_that_are_refused(
    plain: Path, tmp_path: Path, config: dict[str, Any], error: type[Exception]
) -> None:
    folder = copied(plain, tmp_path)
    edit_json(folder / "config.json", **config)
    with pytest.raises(error) as caught:
        dissect(Checkpoint.open(folder))
    assert type(caught.value) is error
    assert caught.value.fix  # type: ignore[attr-defined]


def test_attention_scaled_by_the_layers_index_is_refused(tmp_path: Path) -> None:
    model("gpt2", 1, scale_attn_by_inverse_layer_idx=True).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedArchitecture) as caught:
        dissect(Checkpoint.open(tmp_path))
    assert caught.value.value == "scale_attn_by_inverse_layer_idx"


def renamed(old: str, new: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda tensors: {name.replace(old, new): t for name, t in tensors.items()}


def lacking(name: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda tensors: {key: t for key, t in tensors.items() if key != name}


def having(name: str) -> Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    return lambda tensors: {**tensors, name: torch.ones(2)}


HARMS = {
    "layer lacks a tensor": lacking("model.layers.5.mlp.up_proj.weight"),
    "first layer lacks a tensor": lacking("model.layers.0.mlp.up_proj.weight"),
    "no layer": renamed("model.layers.3.", "model.layers.8."),
    "no head": lacking("lm_head.weight"),
    "no embeddings": lacking("model.embed_tokens.weight"),
    "no norm": lacking("model.norm.weight"),
    "one layer has more": having("model.layers.2.extra.weight"),
    "a tensor of no part": having("model.vision.weight"),
    "a layer beyond": having("model.layers.99.mlp.up_proj.weight"),
    "an index of 5000 digits": having(f"model.layers.{'9' * 5000}.mlp.up_proj.weight"),
    "an index with a zero before it": having("model.layers.01.mlp.up_proj.weight"),
    "an index of other digits": having("model.layers.٣.mlp.up_proj.weight"),
    "a negative index": having("model.layers.-1.mlp.up_proj.weight"),
    "the same twice": having("norm.weight"),
}


@pytest.mark.parametrize("harm", list(HARMS))
def test_tensors_that_are_not_the_configs(plain: Path, tmp_path: Path, harm: str) -> None:
    folder = copied(plain, tmp_path)
    edit_tensors(folder, HARMS[harm])
    with pytest.raises(CorruptCheckpoint) as caught:
        dissect(Checkpoint.open(folder))
    assert caught.value.fix


def test_layers_of_different_shapes(plain: Path, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path)
    name = "model.layers.4.mlp.up_proj.weight"
    edit_tensors(folder, lambda tensors: {**tensors, name: torch.ones(30, 16)})
    with pytest.raises(UnsupportedArchitecture) as caught:
        dissect(Checkpoint.open(folder))
    assert caught.value.value == 4


def said(**changes: Any) -> Callable[[Path], None]:
    return lambda student: edit_json(student / "student_config.json", **changes)


def other_student(kind: str, layers: int = 5, **changes: Any) -> Callable[[Path], None]:
    def swap(student: Path) -> None:
        made = model(kind, 3, num_hidden_layers=layers, **changes)
        save_student(made, student, (0, 2, 3, 5, 7), LAYERS)

    return swap


NO_STUDENTS: dict[str, Callable[[Path], Any]] = {
    "other width": other_student("llama", hidden_size=24),
    "other vocabulary": other_student("llama", vocab_size=50),
    "other feed-forward width": other_student("llama", intermediate_size=32),
    "other heads in the same shapes": other_student(
        "llama", num_attention_heads=2, num_key_value_heads=1),
    "other activation": other_student("llama", hidden_act="gelu"),
    "other depth than it says": other_student("llama", layers=4),
    "other architecture": other_student("olmo2"),
    "biases that the teacher lacks": other_student("llama", attention_bias=True),
    "silent": lambda student: (student / "student_config.json").unlink(),
    "says nothing": lambda student: (student / "student_config.json").write_text("{}"),
    "says words": said(copied_teacher_layers=["0", "2", "3", "5", "7"]),
    "says a number": said(copied_teacher_layers=5),
    "too few": said(copied_teacher_layers=[0, 2, 3, 5]),
    "twice the same": said(copied_teacher_layers=[0, 2, 2, 5, 7]),
    "not from the first": said(copied_teacher_layers=[1, 2, 3, 5, 7]),
    "beyond the teacher": said(copied_teacher_layers=[0, 2, 3, 5, 8]),
    "negative": said(copied_teacher_layers=[-1, 2, 3, 5, 7]),
    "true": said(copied_teacher_layers=[0, True, 3, 5, 7]),
}  # fmt: skip


@pytest.mark.parametrize("harm", list(NO_STUDENTS))
def test_no_student_of_this_teacher(tmp_path: Path, harm: str) -> None:
    made = duo(tmp_path, "llama")
    assert made.pair.layermap.kept == made.kept
    NO_STUDENTS[harm](made.student_folder)
    with pytest.raises(StudentMismatch) as caught:
        _ = made.pair
    assert caught.value.fix


def test_a_student_that_lacks_biases(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama", attention_bias=True)
    other_student("llama")(made.student_folder)
    with pytest.raises(StudentMismatch):
        _ = made.pair


def test_layers_said_in_another_order_are_the_same_map(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    said(copied_teacher_layers=[7, 5, 3, 2, 0])(made.student_folder)
    assert made.pair.layermap.kept == made.kept


def test_a_per_layer_list_of_the_wrong_length(tmp_path: Path) -> None:
    made = duo(tmp_path, "qwen3-tied")
    edit_json(made.teacher_folder / "config.json", layer_types=["full_attention"] * 7)
    with pytest.raises(UnsupportedArchitecture) as caught:
        member_files(made.pair, Composition.patched(made.pair.layermap, {3}))
    assert caught.value.value == "layer_types"


def test_the_record_is_believed_only_when_asked(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama-tied")
    (made.student_folder / "boomerang.json").write_text(json.dumps({"frozen_embeddings": True}))
    checkpoints = Checkpoint.open(made.teacher_folder), Checkpoint.open(made.student_folder)
    assert not Pair.of(*checkpoints).shared_embeddings
    assert Pair.of(*checkpoints, verify=False).shared_embeddings


def test_a_role_outside_the_stack_has_no_layer() -> None:
    assert ARCHITECTURES["gpt2"].role("transformer.ln_f.bias") == Role(Part.NORM, -1, "bias")
    assert ARCHITECTURES["gpt_neox"].role("embed_out.weight") == Role(Part.HEAD, -1, "weight")
    assert ARCHITECTURES["gpt_neox"].role("gpt_neox.layers.3.attention.bias") is None
    query = "attention.query_key_value.bias"
    expected = Role(Part.LAYER, 3, query)
    assert ARCHITECTURES["gpt_neox"].role(f"gpt_neox.layers.3.{query}") == expected
