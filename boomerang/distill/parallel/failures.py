"""Why a process cannot go on, as the others of its run hear it."""

import json

import torch
from torch import Tensor

from boomerang.distill.memory.available import is_memory
from boomerang.errors import BoomerangError, Interrupted, TrainingFailed, as_json, from_json

MESSAGE_BYTES = 1 << 13
"""Bytes in which a process tells the others why it cannot go on."""
_MEMORY = "memory"


class Fallen(Exception):
    """Another process could not go on."""


class Gone(Interrupted):
    """Another process does not answer."""


def written(error: Exception | None, rank: int) -> Tensor:
    """A reason as the others read it: JSON in bytes, zeros after it (MESSAGE_BYTES,)."""
    said: dict[str, object] = {}
    if isinstance(error, BoomerangError):
        said = as_json(error)
    elif error is not None:
        what = " ".join(str(error).split())[:300]
        said = {"kind": _MEMORY, "detail": what}
        if not is_memory(error):
            name = type(error).__name__
            detail = f"Process {rank} of the trainer stopped: {what or name}."
            said = as_json(TrainingFailed(detail, value=name, fix="See the trainer's log."))
    data = json.dumps(said, ensure_ascii=False).encode(errors="replace")
    return torch.tensor([*data.ljust(MESSAGE_BYTES, b"\0")], dtype=torch.uint8)


def read(data: Tensor) -> Exception | None:
    """What another process wrote; None where it has no reason of its own."""
    said = json.loads(bytes(data.tolist()).rstrip(b"\0"))
    if not said:
        return None
    if said["kind"] == _MEMORY:
        return MemoryError(said["detail"])
    return from_json(said)


def no_answer(error: Exception) -> Gone:
    """The error for a process that does not answer, from that of the connection to it."""
    return Gone(
        f"Another process of this run has ended: {' '.join(str(error).split())[:200]}.",
        value=type(error).__name__,
        fix="See the trainer's log, then run the job again: it goes on from its checkpoint.",
    )
