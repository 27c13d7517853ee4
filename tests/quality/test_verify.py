"""A config and tensors are one model, or every difference is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture
from boomerang.quality.verify import verify
from tests.models import KINDS, model

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
    layered = [name for name in tensors if ".5." in name]
    dtype, shape = tensors.pop(layered[0])
    tensors["surplus.weight"] = (dtype, shape)
    tensors[layered[1]] = (dtype, (7, 9))
    with pytest.raises(CorruptCheckpoint) as caught:
        verify(config, tensors)
    assert caught.value.value["missing"] == [layered[0]]
    assert caught.value.value["unexpected"] == ["surplus.weight"]
    assert caught.value.value["of another shape"][0].startswith(layered[1])


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
