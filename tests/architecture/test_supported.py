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

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import ENCODERS
from boomerang.architecture.refusals import REFUSED_KEYS, REFUSED_TYPES
from boomerang.architecture.supported import ARCHITECTURES, Part, Role
from boomerang.architecture.wrappers import WHOLES
from boomerang.assembly.stitch import member_files, place
from boomerang.checkpoint.files import SINGLE
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import CorruptCheckpoint, RemoteCode, StudentMismatch, UnsupportedArchitecture
from boomerang.family.composition import Composition
from boomerang.family.member_config import member_config
from boomerang.family.pair import Pair
from boomerang.modules.verify import verify, verify_kinds
from tests.assembly.test_stitch import PROVEN, loaded, logits, prove, told
from tests.support.models import KINDS, LAYERS, Duo, duo, each, edit_json, model, save_student
from tests.support.places import ROOT


def edit_tensors(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    """Rewrite the weights of a folder."""
    tensors = change(dict(load_file(folder / SINGLE)))
    save_file({name: t.contiguous() for name, t in tensors.items()}, folder / SINGLE)


SETS: list[set[int]] = [set(), {3}, {0}, {0, 2, 3}]


@pytest.mark.parametrize(
    ("kind", "patched"),
    [(kind, patched) for kind in KINDS for patched in (SETS if kind in PROVEN else [{3}])],
    ids=str,
)
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


@pytest.mark.parametrize("kind", each(kind for kind in KINDS if kind not in PROVEN))
def test_members_of_every_size(kind: str, tmp_path: Path) -> None:
    """Loaded by transformers they are the modules put together, every layer of its own kind."""
    made = duo(tmp_path, kind)
    pair = made.pair
    sizes = [("last", k, set(pair.layermap.long[len(pair.layermap.long) - k :])) for k in range(4)]
    for order, k, patched in [*sizes, ("first", 1, {0})]:
        composition = Composition.patched(pair.layermap, patched)
        prove(made, composition, told(made.kept, order, k), tmp_path / f"{order}{k}")
        config = member_config(pair, composition)
        verify(config, {p.name: (p.dtype, p.tensor.shape) for p in place(pair, composition)})
        order_of = [layer.teacher_index for layer in composition.layers]
        verify_kinds(config, pair.teacher.config, order_of)


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss"])
def test_how_experts_are_stored(kind: str, tmp_path: Path) -> None:
    """Each by itself, as in every published file; all in one tensor only by gpt-oss."""
    made = model(kind, 1)
    made.save_pretrained(tmp_path / "saved")
    names = {name for name in Checkpoint.open(tmp_path / "saved").tensors if ".experts." in name}
    apart = {name for name in names if ".experts.3." in name}
    assert bool(apart) is (kind != "gpt_oss")
    made.save_pretrained(tmp_path / "fused", save_original_format=False)
    if kind == "gpt_oss":
        assert dissect(Checkpoint.open(tmp_path / "fused")).depth == LAYERS
        return
    with pytest.raises(UnsupportedArchitecture, match="one tensor") as caught:
        dissect(Checkpoint.open(tmp_path / "fused"))
    # The fix that the error names.
    assert "save_pretrained" in str(caught.value.fix)
    fused = AutoModelForCausalLM.from_pretrained(tmp_path / "fused")
    again = AutoModelForCausalLM.from_config(fused.config)
    again.load_state_dict(fused.state_dict())
    again.save_pretrained(tmp_path / "again")
    assert set(Checkpoint.open(tmp_path / "again").tensors) >= names


def test_a_layer_without_experts_where_the_config_has_them(tmp_path: Path) -> None:
    model("qwen3_moe", 1).save_pretrained(tmp_path)
    assert [kind.experts for kind in dissect(Checkpoint.open(tmp_path)).kinds] == [
        False, False, True, False, False, False, False, False,
    ]  # fmt: skip
    edit_json(tmp_path / "config.json", mlp_only_layers=[], decoder_sparse_step=1)
    with pytest.raises(CorruptCheckpoint, match="mlp"):
        dissect(Checkpoint.open(tmp_path))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.float8_e4m3fn])
def test_quantised_tensors_are_refused_whatever_the_config_says(
    plain: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    folder = copied(plain, tmp_path)
    name = "model.layers.4.mlp.up_proj.weight"
    edit_tensors(folder, lambda tensors: {**tensors, name: tensors[name].to(dtype)})
    with pytest.raises(UnsupportedArchitecture, match="quantised") as caught:
        dissect(Checkpoint.open(folder))
    assert name in str(caught.value)


def test_gpt_oss_as_it_is_published_is_refused_with_the_way_out(tmp_path: Path) -> None:
    model("gpt_oss", 1).save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", quantization_config={"quant_method": "mxfp4"})
    with pytest.raises(UnsupportedArchitecture, match="mxfp4") as caught:
        dissect(Checkpoint.open(tmp_path))
    assert "dequantize" in str(caught.value.fix)


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_keys_that_break_when_layers_move(plain: Path, tmp_path: Path, key: str) -> None:
    folder = copied(plain, tmp_path)
    for nothing in (0, False, None):
        edit_json(folder / "config.json", **{key: nothing})
        assert dissect(Checkpoint.open(folder)).depth == LAYERS
    edit_json(folder / "config.json", **{key: 1})
    with pytest.raises(UnsupportedArchitecture) as caught:
        dissect(Checkpoint.open(folder))
    assert caught.value.value == key
    assert REFUSED_KEYS[key] in str(caught.value)


@pytest.mark.parametrize("model_type", REFUSED_TYPES)
def test_architectures_that_are_known_and_refused(
    plain: Path, tmp_path: Path, model_type: str
) -> None:
    folder = copied(plain, tmp_path)
    edit_json(folder / "config.json", model_type=model_type, auto_map={"AutoConfig": "m.C"})
    with pytest.raises(UnsupportedArchitecture) as caught:
        dissect(Checkpoint.open(folder))
    assert caught.value.value == model_type
    assert REFUSED_TYPES[model_type] in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [("llama", {"vocab_size": 50}), ("llama", {"hidden_size": 32}), ("gpt2", {"n_embd": 32}),
     ("gpt2", {"vocab_size": 47}), ("llama", {"vocab_size": "48"})],
)  # fmt: skip
def test_a_config_of_another_width_or_vocabulary(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    model(kind, 1).save_pretrained(tmp_path)
    edit_json(tmp_path / "config.json", **changes)
    with pytest.raises(CorruptCheckpoint, match=next(iter(changes))) as caught:
        dissect(Checkpoint.open(tmp_path))
    assert caught.value.value == next(iter(changes.values()))


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
    "other rotary base": other_student("llama", rope_theta=500000.0),
    "rotary positions scaled": other_student(
        "llama", rope_scaling={"rope_type": "linear", "factor": 2.0}),
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


OTHER_FUNCTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "experts of a token": ("mixtral", {"num_experts_per_tok": 1}),
    "weights of experts": ("qwen3_moe", {"norm_topk_prob": True}),
    "clamp of experts": ("gpt_oss", {"swiglu_limit": 2.0}),
    "slope of experts": ("gpt_oss", {"swiglu_alpha": 1.0}),
    "window": ("mistral", {"sliding_window": 8}),
    "no window": ("mistral", {"sliding_window": None}),
    "a window of experts": ("mixtral", {"sliding_window": None}),
    "window of some layers": ("gemma2", {"sliding_window": 8}),
    "scale of scores": ("gemma3_text", {"query_pre_attn_scalar": 16}),
    "scale of scores at all": ("gpt2", {"scale_attn_weights": False}),
    "cap of scores": ("gemma2", {"attn_logit_softcapping": 5.0}),
    "no cap of logits": ("gemma2", {"final_logit_softcapping": None}),
    "clamp of projections": ("olmo", {"clip_qkv": 2.0}),
    "no clamp of projections": ("olmo", {"clip_qkv": None}),
    "activation by its other name": ("gemma2", {"hidden_activation": "silu"}),
    "epsilon by its other name": ("starcoder2", {"norm_epsilon": 1e-3}),
    "scale of logits": ("cohere", {"logit_scale": 0.25}),
}
"""What no tensor's shape shows, one key of a student each."""


@pytest.mark.parametrize("what", list(OTHER_FUNCTIONS))
def test_a_student_whose_layers_do_something_else(what: str, tmp_path: Path) -> None:
    kind, changes = OTHER_FUNCTIONS[what]
    made = duo(tmp_path, kind)
    assert made.pair.layermap.kept == made.kept
    edit_json(made.student_folder / "config.json", **changes)
    with pytest.raises(StudentMismatch, match=next(iter(changes))):
        _ = made.pair


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("qwen2", {"sliding_window": 4096, "use_sliding_window": False}),
        ("qwen3_moe", {"sliding_window": 4096, "use_sliding_window": False}),
        ("llama", {"sliding_window": 16}),
        ("gemma2", {"hidden_activation": None}),
    ],
)
def test_a_value_that_changes_nothing_refuses_no_student(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    made = duo(tmp_path, kind)
    edit_json(made.student_folder / "config.json", **changes)
    assert made.pair.layermap.kept == made.kept


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


@pytest.mark.parametrize("kind", ["gemma2", "smollm3", "qwen3_moe"])
def test_a_student_whose_layers_became_of_another_kind(kind: str, tmp_path: Path) -> None:
    """Its config computes kinds anew from the index, as nothing that follows the layers would."""
    made = duo(tmp_path, kind)
    assert made.pair.layermap.kept == made.kept
    computed = {"gemma2": "layer_types", "smollm3": "no_rope_layers", "qwen3_moe": ""}[kind]
    said = json.loads((made.student_folder / "config.json").read_text())
    said.pop(computed, None)
    if kind == "qwen3_moe":
        said["mlp_only_layers"] = [0, 1, 2, 3]
    (made.student_folder / "config.json").write_text(json.dumps(said))
    with pytest.raises((StudentMismatch, CorruptCheckpoint)) as caught:
        _ = made.pair
    assert kind == "qwen3_moe" or "kind of layer" in str(caught.value)


def test_a_students_stale_lists_are_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """The published trainer leaves the teacher's own lists in a student's config."""
    made = duo(tmp_path, "qwen3-tied")
    edit_json(made.student_folder / "config.json", layer_types=["full_attention"] * LAYERS)
    composition = Composition.patched(made.pair.layermap, {3})
    prove(made, composition, told(made.kept, "last", 1), tmp_path / "member")
    edit_json(made.student_folder / "config.json", layer_types=["sliding_attention"] * LAYERS)
    with pytest.raises(StudentMismatch, match="kind of layer 0"):
        _ = made.pair


def test_the_documentation_lists_all_of_it() -> None:
    page = (ROOT / "docs/architectures.md").read_text()
    supported, refused = page.split("## Refused")
    for name in (*ARCHITECTURES, *ENCODERS, *WHOLES):
        assert f"`{name}`" in supported
    for name in (*REFUSED_KEYS, *(name.removesuffix("_text") for name in REFUSED_TYPES)):
        assert f"`{name}`" in refused
