"""A checkpoint taken apart by roles, after it was checked that every part is there.

What cannot be right is refused here with its reason: other architectures, quantised tensors,
layers whose meaning depends on their index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boomerang.architectures import ARCHITECTURES, Architecture, Part, Role
from boomerang.checkpoint import Checkpoint, Tensor
from boomerang.errors import CorruptCheckpoint, RemoteCode, UnsupportedArchitecture

COMPARED = 1 << 18
"""Bytes compared at a time: what differs mostly does so in the first."""

_INDEX_COMPUTED = {
    "scale_attn_by_inverse_layer_idx": "it scales attention by the layer's index",
    "num_kv_shared_layers": "layers share keys and values across the stack",
    "num_nextn_predict_layers": "it has multi-token-prediction layers",
}
"""Config values that give a layer a meaning by its index, which moving it would change."""


@dataclass(frozen=True)
class Anatomy:
    """A checkpoint taken apart: its tensors by role, its depth, whether its head is tied."""

    checkpoint: Checkpoint
    architecture: Architecture
    tensors: Mapping[Role, Tensor]
    depth: int
    tied: bool

    @property
    def config(self) -> Mapping[str, Any]:
        """The checkpoint's config."""
        return self.checkpoint.config

    @cached_property
    def _parts(self) -> Mapping[tuple[Part, int], list[tuple[Role, Tensor]]]:
        parts: dict[tuple[Part, int], list[tuple[Role, Tensor]]] = {}
        for role, tensor in self.tensors.items():
            parts.setdefault((role.part, role.layer), []).append((role, tensor))
        for found in parts.values():
            found.sort(key=lambda pair: (pair[1].source.name, pair[1].start))
        return parts

    def part(self, part: Part, layer: int = -1) -> list[tuple[Role, Tensor]]:
        """The tensors of one part in the order in which they are stored."""
        return self._parts.get((part, layer), [])

    @property
    def head_tensor(self) -> Tensor:
        """The matrix the head multiplies with, wherever it is stored."""
        role = self.architecture.token_embeddings if self.tied else self.architecture.head
        return self.tensors[role]


def dissect(checkpoint: Checkpoint) -> Anatomy:
    """Take a checkpoint apart by roles.

    Raises UnsupportedArchitecture, RemoteCode, or CorruptCheckpoint where the tensors are not
    those that the config promises.
    """
    config = checkpoint.config
    architecture = _architecture(checkpoint)
    depth = config.get(architecture.depth_key)
    # A layer has one tensor at least, so a greater depth is a lie, and too many to count.
    if type(depth) is not int or not 1 <= depth <= len(checkpoint.tensors):
        raise CorruptCheckpoint(
            f"The config of {checkpoint.name!r} has {architecture.depth_key}={depth!r}.",
            value=depth,
            fix="It must be the number of layers.",
        )
    tensors: dict[Role, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        role = architecture.role(name)
        if role is not None and role in tensors:
            raise CorruptCheckpoint(
                f"{name!r} and {tensors[role].name!r} are the same tensor of {checkpoint.name!r}.",
                value=name,
                fix="Save the model again with transformers 5.",
            )
        if role is not None:
            tensors[role] = tensor
    tied = _settle_head(architecture, config, tensors)
    _check_complete(checkpoint, architecture, tensors, depth, tied)
    return Anatomy(checkpoint, architecture, tensors, depth, tied)


def _settle_head(
    architecture: Architecture, config: Mapping[str, Any], tensors: dict[Role, Tensor]
) -> bool:
    """Remove the copy of a tied head, and say whether the model is tied.

    As `tie_weights` of transformers 5 does when it loads: a head stored beside embeddings that
    differ makes the model untied whatever its config says; a head alone serves for both.
    """
    if not config.get("tie_word_embeddings", architecture.tied_by_default):
        return False
    head = tensors.get(architecture.head)
    embeddings = tensors.get(architecture.token_embeddings)
    if head is None:
        return True
    # Samples are enough: a head that was trained apart differs everywhere, and on the Hub every
    # byte of both is a download.
    quarter = (head.stop - head.start) // 4
    if embeddings is not None and not equal_bytes(embeddings, head, every=quarter):
        return False
    tensors.setdefault(architecture.token_embeddings, head)
    del tensors[architecture.head]
    return True


def equal_bytes(a: Tensor, b: Tensor, *, every: int = COMPARED) -> bool:
    """Whether two tensors have the same dtype, shape and bytes: COMPARED of them in `every`."""
    length = a.stop - a.start
    return (a.dtype, a.shape) == (b.dtype, b.shape) and all(
        a.source.read(a.start + at, a.start + min(at + COMPARED, length))
        == b.source.read(b.start + at, b.start + min(at + COMPARED, length))
        for at in range(0, length, max(every, COMPARED))
    )


def _architecture(checkpoint: Checkpoint) -> Architecture:
    config, name = checkpoint.config, checkpoint.name
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        if config.get("auto_map"):
            raise RemoteCode(
                f"{name!r} ({model_type}) needs code from its repository, which is never run.",
                value=model_type,
                fix="Use a model that transformers supports natively.",
            )
        raise UnsupportedArchitecture(
            f"{name!r} is of architecture {model_type!r}, which is not supported.",
            value=model_type,
            fix=f"Supported: {', '.join(sorted(ARCHITECTURES))}.",
        )
    if config.get("quantization_config"):
        raise UnsupportedArchitecture(
            f"{name!r} is quantised.",
            value="quantization_config",
            fix="Use the unquantised checkpoint; quantise the members afterwards.",
        )
    for key, why in _INDEX_COMPUTED.items():
        if config.get(key):
            raise UnsupportedArchitecture(
                f"{name!r} has {key}={config[key]!r}: {why}, so layers cannot be moved.",
                value=key,
                fix="No family can be made of it.",
            )
    return ARCHITECTURES[model_type]


def _check_complete(
    checkpoint: Checkpoint,
    architecture: Architecture,
    tensors: Mapping[Role, Tensor],
    depth: int,
    tied: bool,
) -> None:
    """Every layer has what most layers have; the ends are there; nothing is left over."""
    by_layer: list[dict[str, tuple[int, ...]]] = [{} for _ in range(depth)]
    unexpected = [f"layer {i}" for i in sorted({r.layer for r in tensors if r.layer >= depth})]
    for role, tensor in tensors.items():
        if 0 <= role.layer < depth:
            by_layer[role.layer][role.suffix] = tensor.shape
    expected = by_layer[0]
    missing: list[str] = []
    for index, layer in enumerate(by_layer):
        for suffix in sorted(expected.keys() ^ layer.keys()):
            name = architecture.name(Role(Part.LAYER, index, suffix))
            (missing if suffix in expected else unexpected).append(name)
    ends = [architecture.token_embeddings] + ([] if tied else [architecture.head])
    missing += [architecture.name(role) for role in ends if role not in tensors]
    parts = {role.part for role in tensors}
    missing += [architecture.prefix + architecture.norm + "weight"] * (Part.NORM not in parts)
    if missing or unexpected or not expected:
        raise CorruptCheckpoint(
            f"The tensors of {checkpoint.name!r} are not those of its config ({depth} layers): "
            f"missing {missing[:4]}, unexpected {unexpected[:4]}.",
            value=checkpoint.name,
            fix="Download or save the checkpoint again.",
        )
    odd = [i for i, layer in enumerate(by_layer) if layer != expected]
    if odd:
        raise UnsupportedArchitecture(
            f"Layers 0 and {odd[0]} of {checkpoint.name!r} have tensors of different shapes.",
            value=odd[0],
            fix="Only models whose layers all have one shape are supported.",
        )
