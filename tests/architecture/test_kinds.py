"""The kinds of layers that a config means, against transformers' own reading of the same config."""

import itertools
from typing import Any

import pytest
from transformers import AutoConfig

from boomerang.architecture.kinds import Kind, explicit, first_difference, layer_kinds, rope
from boomerang.architecture.supported import ARCHITECTURES, Attention
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture
from tests.support.models import KINDS, LAYERS, model

DEPTHS = (1, 7, 13)
LISTED = [name for name, a in ARCHITECTURES.items() if a.attention is Attention.LISTED]


def options(model_type: str) -> list[dict[str, Any]]:
    """Configs of one architecture that leave the kinds of its layers to be computed."""
    if model_type in ("qwen2", "qwen3", "qwen2_moe"):
        return [
            {"use_sliding_window": use, "sliding_window": 4, "max_window_layers": layers}
            for use, layers in itertools.product((True, False), (0, 3, 9, 20))
        ]
    if model_type == "smollm3":
        return [
            {"use_sliding_window": use, "sliding_window": window, "no_rope_layer_interval": every}
            for use, window, every in itertools.product((True, False), (4, None), (2, 3, 5))
        ]
    if model_type in ("gemma3_text", "cohere2", "exaone4"):
        return [{}, *({"sliding_window_pattern": every} for every in (1, 2, 3, 6))]
    return [{}, *({"sliding_window": window} for window in (None, 4) if model_type == "ministral")]


@pytest.mark.parametrize("model_type", LISTED)
@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_written_out_is_what_transformers_computes(model_type: str, depth: int) -> None:
    architecture = ARCHITECTURES[model_type]
    for option in options(model_type):
        config = {"model_type": model_type, "num_hidden_layers": depth, **option}
        theirs = AutoConfig.for_model(**config)
        kinds = layer_kinds(config, architecture, depth)
        assert [kind.attention for kind in kinds] == theirs.layer_types, option
        ropes = getattr(theirs, "no_rope_layers", [1] * depth)
        assert [kind.rope for kind in kinds] == [bool(rope) for rope in ropes]
        written = explicit(config, architecture, depth)
        again = AutoConfig.for_model(**written)
        assert again.layer_types == theirs.layer_types
        assert not {"sliding_window_pattern", "no_rope_layer_interval"} & written.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_experts_are_where_the_model_has_them(kind: str) -> None:
    spec = KINDS[kind]
    kinds = layer_kinds(spec, ARCHITECTURES[spec["model_type"]], LAYERS)
    layers = getattr(model(kind, 1).base_model, "layers", None) or [object()] * LAYERS
    has = [hasattr(getattr(layer, "mlp", None), "experts") for layer in layers]
    assert [found.experts for found in kinds] == has


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_a_model_is_tied_by_default_where_transformers_ties_it(model_type: str) -> None:
    theirs = AutoConfig.for_model(model_type)
    assert ARCHITECTURES[model_type].tied_by_default is bool(theirs.tie_word_embeddings)


def test_a_step_becomes_a_list_of_dense_layers() -> None:
    config = {"model_type": "qwen3_moe", "decoder_sparse_step": 3, "mlp_only_layers": [2]}
    written = explicit(config, ARCHITECTURES["qwen3_moe"], 7)
    assert (written["mlp_only_layers"], written["decoder_sparse_step"]) == ([0, 1, 2, 3, 4, 6], 1)
    kinds = layer_kinds(config, ARCHITECTURES["qwen3_moe"], 7)
    assert [i for i, kind in enumerate(kinds) if kind.experts] == [5]


def test_a_list_that_has_no_effect_is_no_kind() -> None:
    config = {"model_type": "llama", "layer_types": ["sliding_attention"] * 3}
    assert layer_kinds(config, ARCHITECTURES["llama"], 3) == (Kind(),) * 3


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("exaone4", {"sliding_window_pattern": "LLLG"}, UnsupportedArchitecture,
     "sliding_window_pattern"),
    ("gemma3_text", {"sliding_window_pattern": 0}, UnsupportedArchitecture,
     "sliding_window_pattern"),
    ("smollm3", {"no_rope_layer_interval": -1}, UnsupportedArchitecture, "no_rope_layer_interval"),
    ("qwen3_moe", {"decoder_sparse_step": "2"}, UnsupportedArchitecture, "decoder_sparse_step"),
    ("gemma2", {"layer_types": ["full_attention"] * 7}, UnsupportedArchitecture, "layer_types"),
    ("smollm3", {"no_rope_layers": [1] * 9}, UnsupportedArchitecture, "no_rope_layers"),
    ("gemma2", {"layer_types": "full_attention"}, CorruptCheckpoint, "layer_types"),
    ("gemma2", {"layer_types": [1] * 8}, CorruptCheckpoint, "layer_types"),
    ("smollm3", {"no_rope_layers": ["yes"] * 8}, CorruptCheckpoint, "no_rope_layers"),
    ("qwen3_moe", {"mlp_only_layers": 3}, CorruptCheckpoint, "mlp_only_layers"),
    ("qwen3_moe", {"mlp_only_layers": [8]}, CorruptCheckpoint, "mlp_only_layers"),
    ("qwen3_moe", {"mlp_only_layers": [[0]]}, CorruptCheckpoint, "mlp_only_layers"),
    ("qwen3_moe", {"mlp_only_layers": 3, "decoder_sparse_step": 2}, CorruptCheckpoint,
     "mlp_only_layers"),
]  # fmt: skip


@pytest.mark.parametrize(("model_type", "changes", "error", "key"), WRONG, ids=str)
def test_what_says_no_kinds(
    model_type: str, changes: dict[str, Any], error: type[Exception], key: str
) -> None:
    with pytest.raises(error) as caught:
        explicit({"model_type": model_type, **changes}, ARCHITECTURES[model_type], 8)
    assert caught.value.value == key  # type: ignore[attr-defined]
    assert caught.value.fix  # type: ignore[attr-defined]


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}


def test_rotary_settings_are_compared_in_one_form() -> None:
    old = {"rope_theta": 1e6, "rope_scaling": {**YARN, "type": "yarn"}}
    new = {"rope_parameters": {**YARN, "rope_theta": 1000000}}
    assert rope(old) == rope(new)
    assert first_difference(old, new) is None
    assert first_difference({"rope_theta": 1e6, "rope_scaling": None}, new) == "rope_type"
    assert first_difference({**old, "rope_theta": 1e4}, new) == "rope_theta"
    eight = {"rope_parameters": {**YARN, "rope_theta": 1e6, "factor": 8.0}}
    assert first_difference(old, eight) == "factor"
    plain = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    assert first_difference({"rope_theta": 1e6}, plain) is None
    assert first_difference({}, plain) is None


def test_rotary_settings_by_kind_of_attention() -> None:
    both = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    other = {**both, "sliding_attention": {"rope_theta": 1e5}}
    a, b = {"rope_parameters": both}, {"rope_parameters": other}
    assert first_difference(a, a) is None
    assert first_difference(a, b) == "sliding_attention.rope_theta"
