"""Whether tensors are those of a model: checked against the architecture itself.

The model is built on the meta device from its config, and given tensors without storage by the
loader of transformers, so that its own conversions of names and shapes apply.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import convert_and_load_state_dict_in_model
from transformers.modeling_utils import LoadStateDictConfig
from transformers.utils import logging

from boomerang.architecture.anatomy import SUPPORTED
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture

_SHOWN = 6
_APART = ("layer_idx", "layer_id", "layer_index", "block_idx", "sliding_window_pattern")
_PLAIN = (bool, int, float, str, tuple, list, type(None))


def verify(config: Mapping[str, Any], tensors: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Check that a config and its tensors (name → safetensors dtype, shape) load as one model.

    Nothing is read or allocated, whatever the size. Raises UnsupportedArchitecture where
    transformers has no such model or refuses the config, CorruptCheckpoint where a tensor is
    missing, has no place, or has the wrong shape: all of them in one error.
    """
    model = _build(config)
    given = {
        name: torch.empty(shape, dtype=torch.float32, device="meta")
        for name, (_, shape) in tensors.items()
    }
    missing, unexpected, mismatched = _load(model, given)
    if missing or unexpected or mismatched:
        wrong = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
        said = [
            f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{', …' * (len(names) > _SHOWN)})"
            for what, names in wrong.items()
            if names
        ]
        raise CorruptCheckpoint(
            f"The tensors are not those of {type(model).__name__}: {'; '.join(said)}.",
            value={what: names for what, names in wrong.items() if names},
            fix="Compare config.json with the tensors: depth, tied embeddings, width.",
        )


def verify_kinds(
    config: Mapping[str, Any], teacher: Mapping[str, Any], order: Sequence[int]
) -> None:
    """Check that each layer of a member is of the kind that its teacher layer `order[i]` is.

    Both models are built on the meta device, and every module of a layer is compared: its class,
    the shapes of its parameters, and each plain value it was built with (window, whether it
    rotates positions, scale, …) but the layer's index. Raises UnsupportedArchitecture, naming
    the first layer that differs and how.
    """
    here, there = _layers(config), _layers(teacher)
    if len(here) != len(order):
        raise CorruptCheckpoint(
            f"The config gives {len(here)} layers, and the member has {len(order)}.",
            value=len(here),
            fix="Correct the depth in config.json.",
        )
    for at, index in enumerate(order):
        differs = sorted(here[at].items() ^ there[index].items(), key=repr)
        if differs:
            (module, what), value = differs[0]
            raise UnsupportedArchitecture(
                f"Layer {at} would be of another kind than the teacher's layer {index}: "
                f"{what} of {module or 'the layer'} ({value}).",
                value=what,
                fix="The architecture computes it from the layer's index; please report it.",
            )


def _layers(config: Mapping[str, Any]) -> list[dict[tuple[str, str], str]]:
    """For each layer, what its modules are: (module, value's name) → the value as text."""
    model = _build(config)
    architecture = SUPPORTED[str(config["model_type"])]
    base = getattr(model, architecture.prefix.rstrip("."))
    listed = getattr(model.config, "layer_types", None)
    found = []
    for index, layer in enumerate(base.get_submodule(architecture.layers.rstrip("."))):
        facts: dict[tuple[str, str], str] = {}
        if listed is not None:
            facts["", "layer_types"] = listed[index]
        for name, module in layer.named_modules():
            facts[name, "class"] = type(module).__name__
            for what, parameter in module.named_parameters(recurse=False):
                facts[name, what] = str(tuple(parameter.shape))
            for what, value in vars(module).items():
                if what not in _APART and isinstance(value, _PLAIN):
                    facts[name, what] = repr(value)
        found.append(facts)
    return found


def _build(config: Mapping[str, Any]) -> Any:
    fields = {key: value for key, value in config.items() if key != "model_type"}
    try:
        settings = AutoConfig.for_model(str(config.get("model_type")), **fields)
        masked = SUPPORTED[settings.model_type].masked
        kind = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        with torch.device("meta"):
            return kind.from_config(settings, trust_remote_code=False)
    except Exception as error:  # what a config can break in a model's constructor has no one class
        raise UnsupportedArchitecture(
            f"transformers cannot build {config.get('model_type')!r} from the config: "
            f"{' '.join(str(error).split())[:300]}",
            value=config.get("model_type"),
            fix="Correct config.json, or name a causal language model that transformers knows.",
        ) from error


def _load(model: Any, given: dict[str, torch.Tensor]) -> tuple[list[str], list[str], list[str]]:
    """Names that are missing, have no place, or have another shape, by the loader's own rules."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        info, _ = convert_and_load_state_dict_in_model(
            model,
            given,
            LoadStateDictConfig(
                device_map={"": torch.device("meta")},
                dtype=torch.float32,
                weight_mapping=get_model_conversion_mapping(model),
            ),
        )
    finally:
        if shown:
            logging.enable_progress_bar()
    model.tie_weights(missing_keys=info.missing_keys, recompute_mapping=False)
    model._adjust_missing_and_unexpected_keys(info)
    mismatched = [f"{n}: {list(a)}, not {list(b)}" for n, a, b in sorted(info.mismatched_keys)]
    broken = sorted(info.conversion_errors or {})
    return sorted(info.missing_keys), sorted(info.unexpected_keys), mismatched + broken
