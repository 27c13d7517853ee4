"""A stopped run goes on from here: weights, optimiser and counters in one safetensors file.

The file is written under a temporary name and renamed. Random numbers need no state: every draw
depends on seed and step alone.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from boomerang.distill.devices import Devices
from boomerang.distill.optimisers import MOMENTS, moments, resume
from boomerang.distill.sharding import gathered, placed
from boomerang.errors import TrainingFailed

FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a run is: `step` of `steps` done, `tokens` seen, `seconds` of training spent.

    `identity` says which run it is of (the student's key and its recipe); `initial` is the loss
    of the untrained student, None in a checkpoint from before it was kept.
    """

    identity: str
    step: int
    steps: int
    tokens: int = 0
    seconds: float = 0.0
    initial: float | None = None

    def advanced(self, tokens: int, seconds: float) -> "Progress":
        """One step later."""
        return replace(
            self, step=self.step + 1, tokens=self.tokens + tokens, seconds=self.seconds + seconds
        )


def save(
    run: Path,
    progress: Progress,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    devices: Devices,
) -> None:
    """Write the checkpoint of a run, in place of the one before: the same for any devices.

    The first process writes, all must call it. Raises TrainingFailed where a weight is not
    finite: the one before is kept.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        held = {"weight": parameter.detach(), **moments(optimiser, parameter)}
        full = gathered({f"{key}/{name}": value for key, value in held.items()}, devices)
        if devices.first and not torch.isfinite(full[f"weight/{name}"]).all():
            raise TrainingFailed(
                f"{name} of the student is not finite at step {progress.step}.",
                value=name,
                fix="Lower the learning rate; the last checkpoint is from before it.",
            )
        tensors |= full
    if not devices.first:
        return
    partial = run / f".{FILE}.partial"
    save_file(tensors, partial, metadata={"progress": json.dumps(asdict(progress))})
    with partial.open("rb+") as written:
        os.fsync(written.fileno())
    os.replace(partial, run / FILE)


def restore(
    run: Path,
    identity: str,
    parameters: Mapping[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> Progress | None:
    """Bring a run back to its checkpoint; None where it has none.

    Raises TrainingFailed where the checkpoint is another run's, or damaged.
    """
    file = run / FILE
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as saved:
            progress = Progress(**json.loads(saved.metadata()["progress"]))
            if progress.identity != identity:
                raise _not_ours(run, "it is that of another student or recipe")
            names = set(saved.keys())
            states: dict[nn.Parameter, dict[str, Tensor]] = {}
            for name, parameter in parameters.items():
                with torch.no_grad():
                    parameter.copy_(placed(saved.get_tensor(f"weight/{name}"), parameter))
                if f"step/{name}" in names:
                    step = saved.get_tensor(f"step/{name}").to(parameter.device)
                    states[parameter] = {"step": step} | {
                        key: placed(saved.get_tensor(f"{key}/{name}"), parameter) for key in MOMENTS
                    }
            resume(optimiser, states)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _not_ours(run, str(error)) from error
    return progress


def _not_ours(run: Path, why: str) -> TrainingFailed:
    return TrainingFailed(
        f"The checkpoint in {run.name!r} cannot be used: {why}.",
        value=str(run / FILE),
        fix="Remove it to begin again, or give another run folder.",
    )
