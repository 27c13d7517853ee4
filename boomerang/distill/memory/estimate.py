"""What a distillation will need of memory, from the shapes alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from boomerang.architecture.supported import Part
from boomerang.distill.memory.activations import LayerActivations, layer_activations
from boomerang.family.composition import Choice, Composition
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.recipes.recipe import Recipe

_STATE = {"adamw": 16, "adamw8bit": 4 + 4 + 2 * (1 + 4 / 256)}
"""Bytes for each trained parameter: weight and gradient in float32, and AdamW's two moments, in
float32 or in 8 bits with a factor in float32 for each 256."""
_CAPPED = 8
"""Tensors of a number for each logit where the head is more than a product."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of memory: what weights, gradients and optimiser take, and one sequence beside it.

    A sequence has `sequence` bytes from its forward to its backward pass. Beside them are first
    its logits, `logits` bytes and no more than `buffers` at once, and then `working`, what its
    gradients need on their way through a block.
    """

    state: int
    sequence: int
    logits: int = 0
    buffers: int = 0
    working: int = 0

    def bytes(self, micro_batch: int) -> int:
        """The bytes of a run with so many sequences in one pass."""
        losses = min(micro_batch * self.logits, self.buffers)
        return self.state + micro_batch * self.sequence + max(losses, micro_batch * self.working)

    def fitting(self, micro_batch: int, most: int | None) -> int:
        """The sequences of a micro-batch that go through one pass in `most` bytes, at least one."""
        each = max(1, self.sequence + self.working)
        fitting = micro_batch if most is None else most // each
        return max(1, min(micro_batch, fitting))


def estimate_memory(
    pair: Pair, recipe: Recipe, length: int, frozen: bool, compute: torch.dtype, world: int = 1
) -> MemoryEstimate:
    """What distilling the student of `pair` takes of each of `world` devices.

    One sequence has `length` tokens. With many devices, weights and optimiser are divided among
    them, and what a pass gathers is counted beside its share.

    The teacher is held in the `compute` dtype, the student in float32, and where the two differ
    also in the copies that autocast makes for a pass. Logits are those of one chunk.
    """
    teacher = sum(t.parameters for t in pair.teacher.tensors.values()) * compute.itemsize
    still = sum(
        tensor.parameters
        for role, tensor in pair.student.tensors.items()
        if frozen and role.part is Part.EMBEDDINGS
    )
    trained = sum(t.parameters for t in pair.student.tensors.values()) - still
    state = teacher + math.ceil(_STATE[recipe.optimiser] * trained)
    if world > 1:
        state = -(-(state + 4 * still) // world) + _gathered(pair, frozen, compute)
    elif compute is not torch.float32:
        # In float32 frozen embeddings are the teacher's own.
        state += 4 * still
    if compute is not torch.float32:
        state += compute.itemsize * trained
    head = pair.teacher.head_tensor
    if not frozen or not pair.teacher.tied:
        # The gradients of head and tied embeddings, whole before they join those of other passes.
        state += (2 if pair.teacher.tied else 1) * 4 * head.parameters
    on = Accelerator.of(device())
    sequence, working = _sequence(pair, recipe, length, compute, on)
    return MemoryEstimate(
        state=state,
        sequence=sequence,
        logits=_logits(pair, length * head.shape[0], on, compute),
        buffers=_logits(pair, max(on.logits, head.shape[0]), on, compute),
        working=working,
    )


def _logits(pair: Pair, count: int, on: Accelerator, compute: torch.dtype) -> int:
    """Bytes that losses over so many logits have at once (divergence.py)."""
    if pair.teacher.config.get("final_logit_softcapping") is not None:
        return _CAPPED * 4 * count
    rounded = 0 if compute is torch.float32 else compute.itemsize * count
    # Both sides', and the probabilities of some rows.
    return 2 * 4 * count + 4 * min(count, on.rows) + rounded


def _sequence(
    pair: Pair, recipe: Recipe, length: int, compute: torch.dtype, on: Accelerator
) -> tuple[int, int]:
    """Bytes that a pass keeps of a sequence, and needs in a block, in the member with most."""
    documents = recipe.separate_documents
    layers = layer_activations(pair.teacher, length, on, compute, documents=documents)
    layermap = pair.layermap
    states = length * pair.teacher.head_tensor.shape[1] * torch.float32.itemsize
    members = [Composition.patched(layermap, ())]
    if recipe.patch_probability > 0 and len(layermap.long) > 1:
        members += [Composition.patched(layermap, {*layermap.long} - {j}) for j in layermap.long]
    blocks = max((_blocks(member, layermap, layers) for member in members), key=sum)
    # The teacher's states that each student layer is compared with, and the last ones of both.
    compared = (len(layermap.kept) + 2) * states
    gradients = max(layer.trained for layer in layers)
    if recipe.activation_checkpointing:
        # What goes into each block is kept, and all of one block is computed again.
        return compared + len(blocks) * states, gradients + max(blocks)
    return compared + sum(blocks), gradients


def _blocks(
    member: Composition, layermap: LayerMap, layers: Sequence[LayerActivations]
) -> list[int]:
    """Bytes that the blocks of a member keep, from the first on that is trained."""
    kept: list[int] = []
    for j, (block, choice) in enumerate(zip(layermap.blocks, member.choices, strict=True)):
        if choice is Choice.STUDENT:
            kept.append(layers[layermap.kept[j]].trained)
        elif kept:
            kept.append(sum(layers[index].frozen for index in block))
    return kept


def _gathered(pair: Pair, frozen: bool, compute: torch.dtype) -> int:
    """Bytes of what a device has in full: both sides' ends, and two layers at a time.

    The student's are in float32, each with its gradient before that is divided.
    """
    ends, layers = 0, [0]
    for side, each in ((pair.teacher, compute.itemsize), (pair.student, 8)):
        sizes: dict[int, int] = {}
        for role, tensor in side.tensors.items():
            still = frozen and role.part is Part.EMBEDDINGS
            bytes_ = tensor.parameters * (min(each, 4) if still else each)
            if role.part is Part.LAYER:
                sizes[role.layer] = sizes.get(role.layer, 0) + bytes_
            else:
                ends += bytes_
        layers += sizes.values()
    return ends + 2 * max(layers)
