"""A checkpoint taken apart by roles, after it was checked that every part is there.

What cannot be right is refused with its reason: by its config in `refusals.py`, by its tensors
here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boomerang.architecture.bert import ENCODERS, modern
from boomerang.architecture.kinds import Kind, expert_layers, layer_kinds
from boomerang.architecture.refusals import quantised, refuse_config
from boomerang.architecture.supported import ARCHITECTURES, Architecture, Part, Role
from boomerang.architecture.wrappers import text_only
from boomerang.checkpoint.header import FLOAT_NAMES, Tensor
from boomerang.checkpoint.table import Checkpoint, put_once
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture

SUPPORTED: Mapping[str, Architecture] = {**ARCHITECTURES, **ENCODERS}
"""Every architecture that can be taken apart, by `model_type`."""

COMPARED = 1 << 18
"""Bytes compared at a time: what differs mostly does so in the first."""

_FUSED = re.compile(r"\.experts\.(gate_up_proj|down_proj)$")


@dataclass(frozen=True)
class Anatomy:
    """A checkpoint taken apart: its tensors by role, its depth, whether its head is tied.

    Of a model of text and images, `checkpoint` is the language model alone.
    """

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
    def kinds(self) -> tuple[Kind, ...]:
        """The kind of each layer."""
        return layer_kinds(self.config, self.architecture, self.depth)

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

    Of a model of text and images the language model alone is taken. Raises
    UnsupportedArchitecture, RemoteCode, or CorruptCheckpoint where the tensors are not those that
    the config promises.
    """
    checkpoint = modern(text_only(checkpoint))
    config = checkpoint.config
    refuse_config(checkpoint.name, config, SUPPORTED)
    architecture = SUPPORTED[config["model_type"]]
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
        if role is not None:
            put_once(checkpoint, tensors, role, tensor)
    _check_stored(checkpoint, architecture, tensors)
    tied = _settle_head(architecture, config, tensors)
    anatomy = Anatomy(checkpoint, architecture, tensors, depth, tied)
    _check_complete(anatomy)
    _check_embeddings(anatomy)
    return anatomy


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


def _check_stored(
    checkpoint: Checkpoint, architecture: Architecture, tensors: Mapping[Role, Tensor]
) -> None:
    """Refuse what is stored in another way than the models that are trained and written here."""
    for role, tensor in tensors.items():
        if tensor.dtype not in FLOAT_NAMES:
            raise quantised(checkpoint.name, f": {tensor.name} is stored as {tensor.dtype}")
        if architecture.experts and not architecture.fused and _FUSED.search(role.suffix):
            raise UnsupportedArchitecture(
                f"{checkpoint.name!r} stores all experts of a layer as one tensor ({tensor.name}).",
                value=tensor.name,
                fix="Make the model of its config, load these weights into it, and call "
                "save_pretrained: transformers 5 then writes each expert.",
            )


def _check_complete(anatomy: Anatomy) -> None:
    """Every layer has what the first of its kind has; the ends are there; nothing is left over.

    Layers with experts and those without have different tensors; kinds of attention have not.
    """
    architecture, tensors, depth = anatomy.architecture, anatomy.tensors, anatomy.depth
    by_layer: list[dict[str, tuple[int, ...]]] = [{} for _ in range(depth)]
    unexpected = [f"layer {i}" for i in sorted({r.layer for r in tensors if r.layer >= depth})]
    for role, tensor in tensors.items():
        if 0 <= role.layer < depth:
            by_layer[role.layer][role.suffix] = tensor.shape
    first: dict[bool, int] = {}
    experts = expert_layers(anatomy.config, architecture, depth)
    like = [first.setdefault(has, i) for i, has in enumerate(experts)]
    missing: list[str] = []
    for index, layer in enumerate(by_layer):
        expected = by_layer[like[index]]
        for suffix in sorted(expected.keys() ^ layer.keys()):
            name = architecture.name(Role(Part.LAYER, index, suffix))
            (missing if suffix in expected else unexpected).append(name)
    ends = [architecture.token_embeddings] + ([] if anatomy.tied else [architecture.head])
    missing += [architecture.name(role) for role in ends if role not in tensors]
    norm = any(role.part is Part.NORM for role in tensors) or not architecture.norm_weights
    missing += [architecture.prefix + architecture.norm + "weight"] * (not norm)
    name = anatomy.checkpoint.name
    if missing or unexpected or not all(by_layer):
        raise CorruptCheckpoint(
            f"The tensors of {name!r} are not those of its config ({depth} layers): "
            f"missing {missing[:4]}, unexpected {unexpected[:4]}.",
            value=name,
            fix="Download or save the checkpoint again.",
        )
    odd = [i for i, layer in enumerate(by_layer) if layer != by_layer[like[i]]]
    if odd:
        raise UnsupportedArchitecture(
            f"Layers {like[odd[0]]} and {odd[0]} of {name!r} have tensors of different shapes.",
            value=odd[0],
            fix="Only models whose layers of one kind all have one shape are supported.",
        )


def _check_embeddings(anatomy: Anatomy) -> None:
    """Width and vocabulary of the config, where it says them, are those of the embeddings."""
    shape = anatomy.tensors[anatomy.architecture.token_embeddings].shape
    for axis, key in enumerate(("vocab_size", anatomy.architecture.width_key)):
        said = anatomy.config.get(key)
        if said is not None and (len(shape) != 2 or said != shape[axis]):
            raise CorruptCheckpoint(
                f"The config of {anatomy.checkpoint.name!r} has {key}={said!r}, its embeddings "
                f"have the shape {list(shape)}.",
                value=said,
                fix=f"Correct {key} in config.json, or download the checkpoint again.",
            )
