"""The config of a member: the teacher's, with depth, tying and everything per layer in step."""

from collections.abc import Sequence
from typing import Any

from boomerang.architecture.kinds import explicit
from boomerang.errors import UnsupportedArchitecture
from boomerang.family.composition import Composition
from boomerang.family.pair import Pair

PER_LAYER = (
    "layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers", "attention_layers",
)  # fmt: skip
"""Config lists with one entry for each layer."""

LAYER_INDICES = ("mlp_only_layers",)
"""Config lists of layer indices."""

_DROPPED = ("auto_map", "_name_or_path", "name_or_path")


def is_tied(pair: Pair, composition: Composition) -> bool:
    """Whether head and embeddings of the member are one tensor.

    They are where both come from one tied model, or from two whose embeddings are equal byte for
    byte. Otherwise the head must be stored, or it is silently lost on load.
    """
    embeddings, head = pair.side(composition.embeddings), pair.side(composition.head)
    same = composition.embeddings is composition.head or pair.shared_embeddings
    return embeddings.tied and head.tied and same


def member_config(pair: Pair, composition: Composition) -> dict[str, Any]:
    """The config.json of a member, whose layers stand for `teacher_index` each.

    Raises UnsupportedArchitecture where a per-layer list does not have the teacher's depth.
    """
    teacher, architecture = pair.teacher, pair.teacher.architecture
    order = [layer.teacher_index for layer in composition.layers]
    config = {key: value for key, value in teacher.config.items() if key not in _DROPPED}
    config = explicit(config, architecture, teacher.depth)
    for key in PER_LAYER:
        if isinstance(config.get(key), list):
            config[key] = _gathered(key, config[key], order, teacher.depth)
    for key in LAYER_INDICES:
        if config.get(key):
            listed = set(config[key])
            config[key] = [at for at, index in enumerate(order) if index in listed]
    config[architecture.depth_key] = len(order)
    config["tie_word_embeddings"] = is_tied(pair, composition)
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
