"""What kind each layer of a model is, read from its config, and the config that says so in full.

Many configs compute a layer's kind from its index (every sixth layer attends to everything).
That is written out as a list before a layer moves, with the same result as the architecture's own
config class in transformers 5; no key that computes a kind is left in a member's config.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boomerang.architecture.rotary import filled
from boomerang.architecture.supported import Architecture, Attention
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture

FULL, SLIDING = "full_attention", "sliding_attention"

_PERIODS = {"gemma2": 2, "gpt_oss": 2, "gemma3_text": 6, "olmo3": 4, "cohere2": 4, "exaone4": 4}
"""One layer in so many attends to everything, where neither list nor pattern says otherwise."""

_PATTERNED = ("gemma3_text", "cohere2", "exaone4")
"""Architectures whose config may give that period as `sliding_window_pattern`."""

UNSAID = "unsaid"
"""Stands for what a config leaves to its class."""

_WINDOWS = {"gpt_oss": 128}
_NO_WINDOW = ("phi3", "mixtral", "starcoder2", "ministral3", "smollm3")
_USUAL_WINDOW = 4096
"""The windows of classes in transformers 5 whose config says none."""

_LISTS = ("layer_types", "no_rope_layers")
_SPARSE_STEPS = ("qwen2_moe", "qwen3_moe")
_COMPUTING = ("sliding_window_pattern", "_sliding_window_pattern", "no_rope_layer_interval")


@dataclass(frozen=True, slots=True)
class Kind:
    """One layer's kind: its attention, whether it rotates positions, whether it has experts."""

    attention: str = FULL
    rope: bool = True
    experts: bool = False

    def __str__(self) -> str:
        extra = ["no rotary positions"] * (not self.rope) + ["experts"] * self.experts
        return ", ".join([self.attention, *extra])


def layer_kinds(
    config: Mapping[str, Any], architecture: Architecture, depth: int
) -> tuple[Kind, ...]:
    """The kind of each of `depth` layers. Raises as `explicit`."""
    said = explicit(config, architecture, depth)
    attention = said.get("layer_types") if architecture.attention is Attention.LISTED else None
    ropes = said.get("no_rope_layers") or [1] * depth
    experts = expert_layers(config, architecture, depth)
    return tuple(
        Kind(attention[i] if attention else FULL, bool(ropes[i]), experts[i]) for i in range(depth)
    )


def trained_kinds(
    config: Mapping[str, Any], architecture: Architecture, depth: int
) -> tuple[Kind, ...]:
    """The kinds of a student's layers; lists longer than its depth are read as far as it goes.

    The published trainer leaves the teacher's whole lists in a student's config, and its layer j
    is then what entry j says. Raises as `explicit`.
    """
    cut = {key: config[key][:depth] for key in _LISTS if isinstance(config.get(key), list)}
    return layer_kinds({**config, **cut}, architecture, depth)


def window(config: Mapping[str, Any], architecture: Architecture, kinds: Sequence[Kind]) -> object:
    """How far layers of these kinds see where they attend within a window; None where none does.

    UNSAID where the config leaves it to its class.
    """
    if architecture.attention is Attention.LISTED:
        slides = any(kind.attention == SLIDING for kind in kinds)
    else:
        switched = config.get("model_type") == "qwen3_moe"
        slides = architecture.attention is Attention.WINDOW and bool(
            config.get("use_sliding_window", not switched)
        )
    return config.get("sliding_window", UNSAID) if slides else None


def attended(
    config: Mapping[str, Any], architecture: Architecture, kinds: Sequence[Kind]
) -> tuple[int | None, ...]:
    """How many tokens a layer of each of these kinds looks at; None where it is all of them."""
    size = window(config, architecture, kinds)
    if size == UNSAID:
        name = config.get("model_type")
        size = None if name in _NO_WINDOW else _WINDOWS.get(str(name), _USUAL_WINDOW)
    if type(size) is not int or size < 1:
        return (None,) * len(kinds)
    if architecture.attention is not Attention.LISTED:
        return (size,) * len(kinds)
    return tuple(size if kind.attention == SLIDING else None for kind in kinds)


def expert_layers(
    config: Mapping[str, Any], architecture: Architecture, depth: int
) -> tuple[bool, ...]:
    """Which of `depth` layers have experts. Raises CorruptCheckpoint, UnsupportedArchitecture."""
    dense = set(_dense(config, depth))
    return tuple(architecture.experts and i not in dense for i in range(depth))


def explicit(config: Mapping[str, Any], architecture: Architecture, depth: int) -> dict[str, Any]:
    """The same config with every kind written out, and no key left that computes one.

    Raises UnsupportedArchitecture for a pattern that has no list, CorruptCheckpoint for a list
    that is not one entry for each layer.
    """
    _check(config, depth)
    _dense(config, depth)
    found = dict(config)
    model_type = config.get("model_type")
    if model_type == "smollm3" and not config.get("no_rope_layers"):
        every = _natural(config, "no_rope_layer_interval", 4)
        found["no_rope_layers"] = [int((i + 1) % every != 0) for i in range(depth)]
    if architecture.attention is Attention.LISTED and config.get("layer_types") is None:
        listed = _listed(found, depth)
        if listed is not None:
            found["layer_types"] = listed
    if model_type in _SPARSE_STEPS and config.get("decoder_sparse_step", 1) != 1:
        found |= {"mlp_only_layers": _dense(config, depth), "decoder_sparse_step": 1}
    for key in _COMPUTING:
        found.pop(key, None)
    return found


def _listed(config: Mapping[str, Any], depth: int) -> list[str] | None:
    """What stands for a missing `layer_types`; None where every layer attends to everything."""
    model_type = str(config.get("model_type"))
    window, layers = config.get("sliding_window"), range(depth)
    if model_type in _PERIODS:
        if model_type == "exaone4" and "sliding_window" in config and window is None:
            return [FULL] * depth
        every = _PERIODS[model_type]
        if model_type in _PATTERNED:
            every = _natural(config, "sliding_window_pattern", every)
        return [SLIDING if (i + 1) % every else FULL for i in layers]
    if model_type == "ministral":
        return [FULL if "sliding_window" in config and window is None else SLIDING] * depth
    if not config.get("use_sliding_window"):
        return None
    if model_type == "smollm3":
        ropes = config["no_rope_layers"]
        return [FULL if window is None or ropes[i] else SLIDING for i in layers]
    # The default is that of Qwen2Config, Qwen3Config and Qwen2MoeConfig in transformers 5.
    until = _natural(config, "max_window_layers", 28, minimum=0)
    if model_type == "qwen2_moe":
        return [SLIDING if i < until and (i + 1) % 2 else FULL for i in layers]
    return [SLIDING if i >= until else FULL for i in layers]


def _dense(config: Mapping[str, Any], depth: int) -> list[int]:
    """The layers without experts, of an architecture that may have both."""
    given = config.get("mlp_only_layers") or []
    if not isinstance(given, list) or not all(type(i) is int and 0 <= i < depth for i in given):
        raise _wrong("mlp_only_layers", "is no list of layer indices")
    if config.get("model_type") not in _SPARSE_STEPS:
        return given
    every = _natural(config, "decoder_sparse_step", 1)
    return sorted({i for i in range(depth) if (i + 1) % every != 0} | set(given))


def _natural(config: Mapping[str, Any], key: str, default: int, minimum: int = 1) -> int:
    value = config.get(key, default)
    if type(value) is not int or value < minimum:
        raise UnsupportedArchitecture(
            f"{key}={value!r} cannot be written out as a list of layers.",
            value=key,
            fix="Write layer_types to the teacher's config.json, one entry for each layer.",
        )
    return int(value)


def _check(config: Mapping[str, Any], depth: int) -> None:
    for key, allowed in (("layer_types", str), ("no_rope_layers", int)):
        listed = config.get(key)
        if listed is None:
            continue
        if not isinstance(listed, list) or not all(isinstance(entry, allowed) for entry in listed):
            raise _wrong(key, "is no list of one kind for each layer")
        if len(listed) != depth:
            raise UnsupportedArchitecture(
                f"The config's {key} has {len(listed)} entries for {depth} layers.",
                value=key,
                fix="Correct config.json.",
            )


def _wrong(key: str, what: str) -> CorruptCheckpoint:
    return CorruptCheckpoint(f"The config's {key} {what}.", value=key, fix="Correct config.json.")


def rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """The rotary settings of a config in one form, whichever version of transformers wrote it.

    Keys are those of `rope_parameters`, after the kind of attention and a dot where each has its
    own (`sliding_attention.rope_theta`). What the config leaves to its class is filled in where
    it names one (`rotary.py`).
    """
    found = {
        key: config[key]
        for key in ("rope_theta", "partial_rotary_factor", "rope_local_base_freq")
        if isinstance(config.get(key), int | float)
    }
    # The older key goes before the newer, as in transformers.
    given = config.get("rope_scaling") or config.get("rope_parameters")
    return filled(found | _flat(given) if isinstance(given, Mapping) else found, config)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = prefix + ("rope_type" if key == "type" else key)
        if isinstance(value, Mapping):
            found |= _flat(value, name + ".")
        elif value is not None:
            found[name] = value
    return found


def first_difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """The first rotary setting that two configs both give, and give differently.

    Beside a config that names a rotary type, one that gives settings and no type means `default`.
    """
    one, other = rope(a), rope(b)
    if one and other:
        for settings in (one, other):
            if not any(key.endswith("rope_type") for key in settings):
                settings["rope_type"] = "default"
    shared: Sequence[str] = sorted(one.keys() & other.keys())
    return next((key for key in shared if one[key] != other[key]), None)
