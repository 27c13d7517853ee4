"""What a distillation will need, from the shapes alone, against what the machine has."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING

from boomerang.architectures import Part
from boomerang.distill.recipe import Recipe
from boomerang.errors import TrainingFailed
from boomerang.pair import Pair
from boomerang.quality.accelerator import Accelerator, device

_STATE = {"adamw": 16, "adamw8bit": 4 + 4 + 2 * (1 + 4 / 256)}
"""Bytes for each trained parameter: weight and gradient in float32, and AdamW's two moments, in
float32 or in 8 bits with a factor in float32 for each 256."""
_KEPT = 68
"""Bytes kept for the backward pass, for each token, layer and unit of width, in float32.

Twice the 34 of arXiv 2205.05198, equation 2, which are of 16 bits; without its term of the
attention matrix, which fused attention does not store.
"""
_ALIGNED = 4
"""Bytes of the teacher's hidden states that each student layer is compared with."""
_SCORES = 3
"""Tensors of one score for each pair of tokens and head that attention without a kernel keeps:
the scores, and the probabilities before and after dropout."""
_GIB = 1 << 30


@dataclass(frozen=True)
class Need:
    """Bytes of memory: what weights, gradients and optimiser take, and one sequence beside it.

    The logits of one sequence are `logits` bytes, and no more than `buffers` exist at once.
    """

    state: int
    sequence: int
    logits: int = 0
    buffers: int = 0

    def bytes(self, micro_batch: int) -> int:
        """The bytes of a run with so many sequences in one pass."""
        losses = min(micro_batch * self.logits, self.buffers)
        return self.state + micro_batch * self.sequence + losses

    def at_once(self, micro_batch: int, most: int | None) -> int:
        """The sequences of a micro-batch that go through one pass in `most` bytes, at least one."""
        fitting = micro_batch if most is None else most // max(1, self.sequence)
        return max(1, min(micro_batch, fitting))


def need(
    pair: Pair, recipe: Recipe, length: int, frozen: bool, compute: torch.dtype, world: int = 1
) -> Need:
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
    vocabulary, width = pair.teacher.head_tensor.shape
    logits = Accelerator.of(device()).logits
    return Need(
        state=state,
        sequence=_sequence(pair, recipe, length, width),
        logits=2 * 4 * length * vocabulary,
        buffers=2 * 4 * max(logits, vocabulary),
    )


def _sequence(pair: Pair, recipe: Recipe, length: int, width: int) -> int:
    """Bytes that a pass keeps of one sequence, in the member that keeps most."""
    blocks = pair.layermap.blocks
    each, kept = length * width, len(blocks)
    long = sorted(len(block) for block in blocks if len(block) > 1)
    layers, most = kept, 1
    if recipe.patch_probability > 0 and len(long) > 1:
        # All long blocks are the teacher's, but for one of the shortest.
        layers, most = pair.layermap.layers - long[0] + 1, long[-1]
    layer = each * _KEPT + _scores(pair.teacher.config, length)
    if recipe.activation_checkpointing:
        # What goes into each block, and all of the one that is computed again.
        return each * kept * (4 + _ALIGNED) + most * layer
    return each * kept * _ALIGNED + layers * layer


def _scores(config: Mapping[str, Any], length: int) -> int:
    """Bytes of one layer's attention scores, where its class knows no fused attention."""
    model_type = str(config["model_type"])
    if MODEL_FOR_CAUSAL_LM_MAPPING[CONFIG_MAPPING[model_type]]._supports_sdpa:
        return 0
    heads = config.get("num_attention_heads") or config.get("n_head") or 1
    return _SCORES * 4 * int(heads) * length * length


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


def refuse_what_cannot_fit(wanted: Need, recipe: Recipe, available: int) -> None:
    """Raise TrainingFailed, with the figures, where not even one sequence at a time fits.

    A larger micro-batch that does not fit is halved when it comes to that.
    """
    least = wanted.bytes(1)
    if least > available:
        raise TrainingFailed(
            f"This distillation needs at least {least / _GIB:.2f} GiB of memory "
            f"({wanted.state / _GIB:.2f} for weights and optimiser, "
            f"{(least - wanted.state) / _GIB:.2f} for one sequence), and "
            f"{available / _GIB:.2f} GiB are free.",
            value=least,
            fix=f"Use a machine with more memory, a sequence_length below "
            f"{recipe.sequence_length}, or a smaller teacher.",
        )


def halve(micro_batch: int, error: Exception) -> int:
    """The next smaller micro-batch after an error of memory; any other error is raised again.

    Raises TrainingFailed where there is none smaller.
    """
    if not is_memory(error):
        raise error
    if micro_batch == 1:
        raise TrainingFailed(
            "One sequence at a time does not fit into memory.",
            value=micro_batch,
            fix="Use a machine with more memory, or a recipe with a shorter sequence_length.",
        ) from error
    return micro_batch // 2


def is_memory(error: Exception) -> bool:
    """Whether an error says that memory has run out."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def available(where: torch.device) -> int:
    """Bytes of memory that this process can still have on a device."""
    if where.type == "cuda":
        return int(torch.cuda.mem_get_info(where)[0])
    free = _told(Path("/proc/meminfo"), "MemAvailable:")
    found = [] if free is None else [free * 1024]
    found += [left for group in _CGROUPS if (left := _left(*group)) is not None]
    # A system that tells nothing refuses nothing: it runs out, and the micro-batch is halved.
    return min(found, default=1 << 62)


def _left(limit: str, used: str, stat: str, reclaimed: str) -> int | None:
    """What a control group leaves: cached files are given back when memory is asked for."""
    try:
        most, now = int(Path(limit).read_text()), int(Path(used).read_text())
    except (OSError, ValueError):
        # No such group, or no limit ("max").
        return None
    return most - now + (_told(Path(stat), reclaimed) or 0)


def _told(file: Path, name: str) -> int | None:
    """The number after a name in a file of the kernel's."""
    try:
        words = file.read_text().split()
        return int(words[words.index(name) + 1])
    except (OSError, ValueError):
        return None


_GROUP = "/sys/fs/cgroup/"
_CGROUPS = (
    (f"{_GROUP}memory.max", f"{_GROUP}memory.current", f"{_GROUP}memory.stat", "inactive_file"),
    (
        f"{_GROUP}memory/memory.limit_in_bytes",
        f"{_GROUP}memory/memory.usage_in_bytes",
        f"{_GROUP}memory/memory.stat",
        "total_inactive_file",
    ),
)
"""The two versions of control groups: limit, use, statistics, and what can be reclaimed."""
