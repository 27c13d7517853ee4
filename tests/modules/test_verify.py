"""A config and tensors are one model, or every difference is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture
from boomerang.modules.verify import verify, verify_kinds
from tests.support.models import KINDS, following, model

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def saved(folder: Path, kind: str, **changes: Any) -> tuple[dict[str, Any], Tensors]:
    model(kind, 1, **changes).save_pretrained(folder)
    tensors: Tensors = {}
    with safe_open(folder / "model.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118
            part = file.get_slice(name)
            tensors[name] = (part.get_dtype(), tuple(part.get_shape()))
    return json.loads((folder / "config.json").read_text()), tensors


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_is_right_and_any_change_is_found(kind: str, tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, kind)
    verify(config, tensors)
    layered = [name for name in tensors if ".5." in name and ".experts." not in name]
    dtype, shape = tensors.pop(layered[0])
    tensors["surplus.weight"] = (dtype, shape)
    tensors[layered[1]] = (dtype, (7, 9))
    with pytest.raises(CorruptCheckpoint) as caught:
        verify(config, tensors)
    # Mixtral's files call its experts by another name than the module.
    assert caught.value.value["missing"] == [layered[0].replace("block_sparse_moe", "mlp")]
    assert caught.value.value["unexpected"] == ["surplus.weight"]
    other = layered[1].replace("block_sparse_moe", "mlp")
    assert caught.value.value["of another shape"][0].startswith(other)


@pytest.mark.parametrize("kind", ["mixtral", "qwen3_moe", "olmoe"])
def test_an_expert_that_is_missing_is_found(kind: str, tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, kind)
    experts = sorted(name for name in tensors if ".experts.2." in name)
    for name in (experts[0], experts[-1]):
        others = {key: value for key, value in tensors.items() if key != name}
        with pytest.raises(CorruptCheckpoint, match=r"experts\.(gate_up|down)_proj"):
            verify(config, others)


def test_a_depth_that_is_not_the_tensors_is_found(tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, "llama")
    with pytest.raises(CorruptCheckpoint, match="unexpected"):
        verify({**config, "num_hidden_layers": 7}, tensors)
    with pytest.raises(CorruptCheckpoint, match="missing"):
        verify({**config, "num_hidden_layers": 9}, tensors)


def test_a_head_must_be_stored_unless_it_is_tied(tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, "llama-tied")
    assert "lm_head.weight" not in tensors
    with pytest.raises(CorruptCheckpoint, match="lm_head"):
        verify({**config, "tie_word_embeddings": False}, tensors)
    config, tensors = saved(tmp_path, "gpt_neox")
    del tensors["embed_out.weight"]
    with pytest.raises(CorruptCheckpoint, match="lm_head"):
        verify(config, tensors)


def test_names_of_old_files_are_the_loaders_business(tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, "gpt2")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    verify(config, {**bare, "h.0.attn.bias": ("F32", (1, 1, 64, 64))})


def test_a_config_that_cannot_be_built_is_refused(tmp_path: Path) -> None:
    config, tensors = saved(tmp_path, "qwen3-tied")
    with pytest.raises(UnsupportedArchitecture, match="layer_types"):
        verify({**config, "num_hidden_layers": 7}, tensors)
    with pytest.raises(UnsupportedArchitecture, match="no-such"):
        verify({**config, "model_type": "no-such"}, tensors)


OTHER_KINDS = [
    ("gemma2", {"layer_types": ["full_attention"] * 3}, 0),
    ("gemma3_text", {"layer_types": ["sliding_attention"] * 3}, 1),
    ("smollm3", {"no_rope_layers": [1, 1, 1], "layer_types": ["full_attention"] * 3}, 1),
    ("qwen3_moe", {"mlp_only_layers": [0, 1, 2]}, 1),
    ("exaone4", {"layer_types": ["sliding_attention"] * 3}, 1),
    ("gpt_oss", {"layer_types": ["sliding_attention"] * 2 + ["full_attention"]}, 2),
]
"""Members of teacher layers 0, 2 and 4 whose config makes another layer of one of them."""


@pytest.mark.parametrize(("kind", "changes", "at"), OTHER_KINDS, ids=str)
def test_a_layer_of_another_kind_than_its_source_is_found(
    kind: str, changes: dict[str, Any], at: int
) -> None:
    teacher = model(kind, 1)
    order = [0, 2, 4]
    right = {**KINDS[kind], **following(teacher, order), "num_hidden_layers": 3}
    verify_kinds(right, KINDS[kind], order)
    with pytest.raises(UnsupportedArchitecture, match=f"Layer {at} .* layer {order[at]}:"):
        verify_kinds({**right, **changes}, KINDS[kind], order)


def test_a_value_computed_from_the_index_is_found() -> None:
    """Whatever an architecture computes for itself: here a scale that GPT-2 can divide so."""
    scaled = {**KINDS["gpt2"], "scale_attn_by_inverse_layer_idx": True}
    verify_kinds({**scaled, "n_layer": 2}, scaled, [0, 1])
    with pytest.raises(UnsupportedArchitecture, match=r"Layer 1 .* layer 3"):
        verify_kinds({**scaled, "n_layer": 2}, scaled, [0, 3])


def test_a_member_of_another_depth_than_its_config() -> None:
    with pytest.raises(CorruptCheckpoint, match="8 layers"):
        verify_kinds(KINDS["llama"], KINDS["llama"], [0, 1])


def test_the_size_of_a_model_does_not_matter() -> None:
    config = {
        **KINDS["llama"],
        "hidden_size": 16384,
        "intermediate_size": 53248,
        "num_attention_heads": 128,
        "num_key_value_heads": 8,
        "num_hidden_layers": 2,
        "vocab_size": 128256,
    }
    with pytest.raises(CorruptCheckpoint, match="21 missing"):
        verify(config, {})
