"""The language model inside a model of text and images, as a checkpoint of its own.

A config with a `text_config` describes both. What makes text is taken out under the names and the
`model_type` that it has alone; the tensors and files that read images are left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from boomerang.architecture.refusals import REFUSED_TYPES
from boomerang.checkpoint.header import Tensor
from boomerang.checkpoint.table import Checkpoint, put_once
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture

LANGUAGE_MODEL: Mapping[str, str] = {
    r"^language_model\.lm_head\.": "lm_head.",
    r"^(model\.)?language_model\.(model\.)?": "model.",
}
"""How names of both generations of files become those of the text model alone (regex → new)."""

_IMAGES = re.compile(r"^(model\.)?(vision_tower|multi_modal_projector)\.")
_LAYER = re.compile(r"^model\.layers\.([0-9]{1,6})\.")
_IMAGE_FILES = re.compile(r"((video_|image_)?(preprocessor|processor)_config)\.json")
_FROM_THE_WHOLE = ("bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype",
                   "quantization_config")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whole:
    """A model around a text model: the text's `model_type` where unsaid, and whether it is tied.

    `tied` None means: as the text's own config says.
    """

    text: str
    tied: bool | None = None


WHOLES: Mapping[str, Whole] = {
    "gemma3": Whole("gemma3_text", tied=True),
    "mistral3": Whole("mistral", tied=True),
    "llava": Whole("llama"),
}
"""By `model_type` of the whole."""


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the language model alone; the config itself where there is no whole around it.

    Raises CorruptCheckpoint where the whole has no `text_config`.
    """
    whole = WHOLES.get(str(config.get("model_type")))
    if whole is None:
        return dict(config)
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        raise CorruptCheckpoint(
            f"The config of {config['model_type']!r} has no text_config.",
            value="text_config",
            fix="Save the model again with transformers 5.",
        )
    found = {"model_type": whole.text, **inner}
    for key in _FROM_THE_WHOLE:
        if config.get(key) is not None:
            found.setdefault(key, config[key])
    tied = config.get("tie_word_embeddings", whole.tied)
    if tied is not None:
        found["tie_word_embeddings"] = tied or bool(inner.get("tie_word_embeddings"))
    return found


def text_only(checkpoint: Checkpoint) -> Checkpoint:
    """The language model inside a checkpoint; the checkpoint itself where it is one already.

    Raises CorruptCheckpoint for tensors that belong to neither text nor images,
    UnsupportedArchitecture for a config that nests a text model in a way that is not known.
    """
    config = checkpoint.config
    if str(config.get("model_type")) not in WHOLES:
        if isinstance(config.get("text_config"), Mapping) and not config.get("auto_map"):
            raise _unknown_whole(checkpoint)
        return checkpoint
    text = text_config(config)
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        if not _IMAGES.match(name):
            put_once(checkpoint, tensors, alone(name), tensor)
    _say_sizes(text, tensors)
    files = {n: source for n, source in checkpoint.files.items() if not _IMAGE_FILES.fullmatch(n)}
    return replace(checkpoint, config=text, tensors=tensors, files=files)


def _say_sizes(text: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write vocabulary and depth to a text config that leaves them to its class, as older ones do.

    The whole loads in transformers only where the class's values are those of the tensors.
    """
    embeddings = tensors.get("model.embed_tokens.weight")
    if embeddings is not None and embeddings.shape:
        text.setdefault("vocab_size", embeddings.shape[0])
    indices = {int(found[1]) for name in tensors if (found := _LAYER.match(name))}
    if indices:
        text.setdefault("num_hidden_layers", max(indices) + 1)


def alone(name: str) -> str:
    """The name that a tensor of the language model has where that model is alone."""
    for pattern, new in LANGUAGE_MODEL.items():
        found, count = re.subn(pattern, new, name)
        if count:
            return found
    return name


def _unknown_whole(checkpoint: Checkpoint) -> UnsupportedArchitecture:
    model_type = checkpoint.config.get("model_type")
    inner = checkpoint.config["text_config"].get("model_type")
    why = REFUSED_TYPES.get(str(model_type), "its text model has no place of its own that is known")
    return UnsupportedArchitecture(
        f"{checkpoint.name!r} is of architecture {model_type!r} around {inner!r}: {why}.",
        value=model_type,
        fix=f"Save its language model alone and give that, or use one of {', '.join(WHOLES)}.",
    )
