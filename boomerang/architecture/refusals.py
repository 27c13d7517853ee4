"""What cannot be right once layers move is refused here, by its config, with the reason."""

from collections.abc import Mapping
from typing import Any

from boomerang.errors import RemoteCode, UnsupportedArchitecture

_SHARED_KV = "later layers use the keys and values of earlier ones"
_MTP = "its multi-token-prediction layers read the hidden states of one fixed depth"
_FIRST_DENSE = "the first layers are dense by their index, and no list says so"
_HYBRID = "it mixes attention with recurrent layers, whose state and kinds have no test here"
_SHARED_BLOCKS = "one block of weights is used by many layers"
_POSITIONS = "its text model counts positions in three dimensions and stands only in the whole"

REFUSED_TYPES: Mapping[str, str] = {
    "gemma3n": _SHARED_KV, "gemma3n_text": _SHARED_KV, "gemma4": _SHARED_KV,
    "gemma4_text": _SHARED_KV,
    "deepseek_v2": _FIRST_DENSE, "deepseek_v3": f"{_FIRST_DENSE}, and {_MTP}",
    "deepseek_v32": f"{_FIRST_DENSE}, and {_MTP}", "glm4_moe": f"{_FIRST_DENSE}, and {_MTP}",
    "ernie4_5_moe": "moe_layer_start_index and moe_layer_interval compute which layers are dense",
    "dots1": _FIRST_DENSE, "hunyuan_v1_moe": "each layer's experts are told by lists of its own",
    "llama4": "which layers have experts, rotate or attend in chunks is computed from the index",
    "llama4_text": "which layers have experts, rotate or attend in chunks is computed from the "
    "index",
    "qwen3_next": f"{_HYBRID}, and {_MTP}", "qwen3_5": _HYBRID, "qwen3_5_text": _HYBRID,
    "jamba": _HYBRID, "bamba": _HYBRID, "falcon_h1": _HYBRID, "granitemoehybrid": _HYBRID,
    "lfm2": _HYBRID, "nemotron_h": _HYBRID, "recurrent_gemma": _HYBRID, "mamba": _HYBRID,
    "mamba2": _HYBRID, "zamba": _SHARED_BLOCKS, "zamba2": _SHARED_BLOCKS,
    "minicpm": "scale_depth scales every layer by the square root of the depth",
    "minicpm3": "scale_depth scales every layer by the square root of the depth",
    "gpt_neo": "attention_layers repeats kinds by a pattern that its config class computes",
    "qwen2_vl": _POSITIONS, "qwen2_5_vl": _POSITIONS, "qwen3_vl": _POSITIONS,
    "qwen3_vl_moe": _POSITIONS,
}  # fmt: skip
"""Architectures of transformers that are known and refused, and why."""

REFUSED_KEYS: Mapping[str, str] = {
    "scale_attn_by_inverse_layer_idx": "it scales attention by the layer's index",
    "num_kv_shared_layers": _SHARED_KV,
    "num_nextn_predict_layers": _MTP,
    "mtp_num_hidden_layers": _MTP,
    "first_k_dense_replace": _FIRST_DENSE,
    "moe_layer_freq": "which layers have experts is computed from their index",
    "interleave_moe_layer_step": "which layers have experts is computed from their index",
    "scale_depth": "every layer is scaled by the square root of the depth",
    "use_bidirectional_attention": "tokens attend to what comes after them, so it is no decoder",
}
"""Config keys that refuse a model where they are set: moving or leaving out a layer breaks it."""


def refuse_config(name: str, config: Mapping[str, Any], known: Mapping[str, object]) -> None:
    """Raise where a model of this config has no right family.

    `known` has the supported types. Raises UnsupportedArchitecture, or RemoteCode for a type that
    only code of its repository makes.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in known:
        raise _unknown(name, config)
    method = config.get("quantization_config")
    if method:
        kind = method.get("quant_method") if isinstance(method, Mapping) else None
        raise quantised(name, f" ({kind})" if isinstance(kind, str) else "")
    for key, why in REFUSED_KEYS.items():
        if config.get(key):
            raise UnsupportedArchitecture(
                f"{name!r} has {key}={config[key]!r}: {why}, so layers cannot be moved.",
                value=key,
                fix="No family can be made of it.",
            )


def quantised(name: str, how: str = "") -> UnsupportedArchitecture:
    """The error for weights that are stored quantised; `how` is put after the word."""
    return UnsupportedArchitecture(
        f"{name!r} is quantised{how}.",
        value="quantization_config",
        fix="Use an unquantised checkpoint (for MXFP4: load it with Mxfp4Config(dequantize=True) "
        "and save it in bfloat16); quantise the members afterwards.",
    )


def _unknown(name: str, config: Mapping[str, Any]) -> UnsupportedArchitecture | RemoteCode:
    model_type = config.get("model_type")
    if isinstance(model_type, str) and model_type in REFUSED_TYPES:
        return UnsupportedArchitecture(
            f"{name!r} is of architecture {model_type!r}, which cannot be right: "
            f"{REFUSED_TYPES[model_type]}.",
            value=model_type,
            fix="No family can be made of it; docs/architectures.md lists what is supported.",
        )
    if config.get("auto_map"):
        return RemoteCode(
            f"{name!r} ({model_type}) needs code from its repository, which is never run.",
            value=model_type,
            fix="Use a model that transformers supports natively.",
        )
    return UnsupportedArchitecture(
        f"{name!r} is of architecture {model_type!r}, which is not supported.",
        value=model_type,
        fix="docs/architectures.md lists what is supported, and what is refused and why.",
    )
