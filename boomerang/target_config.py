"""The config of a member: the teacher's, with depth, tying and everything per layer in step."""

from collections.abc import Mapping, Sequence
from typing import Any

from boomerang.composition import Composition
from boomerang.errors import UnsupportedArchitecture
from boomerang.pair import Pair

PER_LAYER = (
    "layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers", "attention_layers",
)  # fmt: skip
"""Config lists with one entry for each layer."""

LAYER_INDICES = ("mlp_only_layers",)
"""Config lists of layer indices."""

_DROPPED = ("auto_map", "_name_or_path", "name_or_path")


def target_config(pair: Pair, composition: Composition, *, tied: bool) -> dict[str, Any]:
    """The config.json of a member, whose layers stand for `teacher_index` each.

    Raises UnsupportedArchitecture where a per-layer list does not have the teacher's depth.
    """
    teacher, architecture = pair.teacher, pair.teacher.architecture
    order = [layer.teacher_index for layer in composition.layers]
    config = {key: value for key, value in teacher.config.items() if key not in _DROPPED}
    config |= _explicit_layer_types(config, teacher.depth)
    for key in PER_LAYER:
        if isinstance(config.get(key), list):
            config[key] = _gathered(key, config[key], order, teacher.depth)
    for key in LAYER_INDICES:
        if config.get(key):
            config[key] = [at for at, index in enumerate(order) if index in set(config[key])]
    config[architecture.depth_key] = len(order)
    config["tie_word_embeddings"] = tied
    config["architectures"] = [architecture.causal_lm]
    return config


def _gathered(key: str, values: list[Any], order: Sequence[int], depth: int) -> list[Any]:
    if len(values) != depth:
        raise UnsupportedArchitecture(
            f"The teacher's {key} has {len(values)} entries for {depth} layers.",
            value=key,
            fix="Correct the teacher's config.json.",
        )
    return [values[index] for index in order]


def _explicit_layer_types(config: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """What Qwen2 and Qwen3 compute from `max_window_layers` where no list is given."""
    if not config.get("use_sliding_window") or config.get("layer_types"):
        return {}
    if config["model_type"] not in ("qwen2", "qwen3"):
        return {}
    # The default is that of Qwen2Config and Qwen3Config in transformers 5.
    window_from = config.get("max_window_layers", 28)
    kinds = ["sliding_attention" if i >= window_from else "full_attention" for i in range(depth)]
    return {"layer_types": kinds}
