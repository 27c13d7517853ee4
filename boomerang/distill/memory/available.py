"""The memory that a device can still give, how it is handed out, and what is done where it ends."""

import ctypes
from pathlib import Path

import torch

from boomerang.distill.memory.estimate import MemoryEstimate
from boomerang.errors import TrainingFailed
from boomerang.recipes.recipe import Recipe

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h."""
LARGE = 1 << 20
"""Bytes from which on a block of its own is asked of the system, and goes back to it when freed."""


def give_back_large_blocks() -> bool:
    """Have memory of large tensors go back to the system as soon as they are freed.

    glibc raises that limit to 32 MiB by itself, keeps what is freed below it, and what is kept lies
    between activations that live on: a training step then has up to twice the memory of its
    tensors (docs/experiments.md). Pages that are cleared again cost a few per cent of the time of
    narrow models, and nothing that was seen at a width of 576. False where the C library knows no
    such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE))


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


_GIB = 1 << 30


def refuse_what_cannot_fit(estimate: MemoryEstimate, recipe: Recipe, available: int) -> None:
    """Raise TrainingFailed, with the figures, where not even one sequence at a time fits.

    A larger micro-batch that does not fit is halved when it comes to that.
    """
    least = estimate.bytes(1)
    if least > available:
        raise TrainingFailed(
            f"This distillation needs at least {least / _GIB:.2f} GiB of memory "
            f"({estimate.state / _GIB:.2f} for weights and optimiser, "
            f"{(least - estimate.state) / _GIB:.2f} for one sequence), and "
            f"{available / _GIB:.2f} GiB are free.",
            value=least,
            fix=f"Use a machine with more memory, {_saving(recipe)}a sequence_length below "
            f"{recipe.sequence_length}, or a smaller teacher.",
        )


def _saving(recipe: Recipe) -> str:
    """The settings that take less memory and are not on yet, each with a comma."""
    saving = []
    if not recipe.activation_checkpointing:
        saving.append("activation_checkpointing = true, ")
    if recipe.optimiser == "adamw":
        saving.append('optimiser = "adamw8bit", ')
    return "".join(saving)


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
