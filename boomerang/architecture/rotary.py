"""What a config leaves to its class of its rotary settings, as transformers 5 fills it in.

Two configs can be compared only when both say everything: one may give a base that the other
leaves to its class, one may have the keys of transformers 4 and the other those of 5.
"""

from collections.abc import Mapping
from typing import Any

_BASES: Mapping[str, float] = {
    "smollm3": 2e6, "mixtral": 1e6, "cohere": 5e5, "olmo3": 5e5, "gemma3_text": 1e6,
    "gpt_oss": 15e4, "ministral3": 1e6,
}  # fmt: skip
"""`rope_theta` where it is not 10,000."""

_PARTS: Mapping[str, float] = {
    "stablelm": 0.25, "glm": 0.5, "glm4": 0.5, "phi": 0.5, "gpt_neox": 0.25,
}  # fmt: skip
"""`partial_rotary_factor` where it is not 1."""

_SCALED = ("gpt_oss", "ministral3")
"""Architectures that scale by default, unless their config says how they rotate."""

_LOCAL: Mapping[str, float] = {"olmo3": 5e5, "gemma3_text": 1e4}
"""Where each kind of attention rotates by itself: the base of sliding attention by default.

What is said for all is meant for full attention; sliding attention is never scaled.
"""

_OLD = {"rotary_emb_base": "rope_theta", "rotary_pct": "partial_rotary_factor"}
"""GPT-NeoX' own names for two of them."""


def filled(said: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings that `config` gives (`said`), with those of its class.

    Keys as in `rope_parameters`; with a dot after the kind of attention where each has its own.
    A config without a `model_type` has no class.
    """
    found, model_type = dict(said), config.get("model_type")
    if not isinstance(model_type, str):
        return found
    if model_type == "gpt_neox":
        for old, new in _OLD.items():
            if isinstance(config.get(old), int | float):
                found.setdefault(new, config[old])
    if any("." in key for key in found):
        return found
    if model_type in _SCALED and "rope_type" not in found:
        return found
    found.setdefault("rope_theta", _BASES.get(model_type, 1e4))
    found.setdefault("partial_rotary_factor", _PARTS.get(model_type, 1.0))
    found.setdefault("rope_type", "default")
    if model_type not in _LOCAL:
        return found
    base = found.pop("rope_local_base_freq", _LOCAL[model_type])
    local = {"rope_theta": base, "rope_type": "default"}
    full = {f"full_attention.{name}": value for name, value in found.items()}
    return full | {f"sliding_attention.{name}": value for name, value in local.items()}
