"""A stopped run goes on from here: weights, optimiser and counters in one safetensors file.

The file is written under a temporary name and renamed, tensor after tensor, so that no second copy
of all of them is ever in memory. Random numbers need no state: every draw depends on seed and step
alone.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from boomerang.distill.optimisers import MOMENTS, moments, resume
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import gathered, placed
from boomerang.errors import TrainingFailed
from boomerang.modules.load import DTYPES

FILE = "checkpoint.safetensors"
EACH = 12
"""Bytes of a trained parameter: its weight and AdamW's two moments, in float32."""
RATE = 100e6
"""Bytes a second that a slow folder takes: a disk that turns, a network of 1 Gbit/s."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


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


def expected(parameters: Iterable[nn.Parameter]) -> float:
    """Seconds that writing a checkpoint may take, before one has been written."""
    return EACH * sum(parameter.numel() for parameter in parameters) / RATE


@dataclass(frozen=True)
class RunCheckpoint:
    """The checkpoint in the folder of a `run`: the same for any devices."""

    run: Path
    parameters: Mapping[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    devices: Devices

    def save(self, progress: Progress) -> None:
        """Write it, in place of the one before. The first process writes, all must call it.

        Raises TrainingFailed where a weight is not finite: the one before is kept.
        """
        tensors = self._tensors(progress)
        if not self.devices.first:
            for _ in tensors:
                continue
            return
        partial = self.run / f".{FILE}.partial"
        with partial.open("wb") as out:
            out.write(self._head(progress))
            for tensor in tensors:
                out.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, self.run / FILE)

    def restore(self, identity: str) -> Progress | None:
        """Bring the run back to it; None where there is none.

        Raises TrainingFailed where the checkpoint is another run's, or damaged.
        """
        file = self.run / FILE
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as saved:
                progress = Progress(**json.loads(saved.metadata()["progress"]))
                if progress.identity != identity:
                    raise self._not_ours("it is that of another student or recipe")
                names = set(saved.keys())
                states: dict[nn.Parameter, dict[str, Tensor]] = {}
                for name, parameter in self.parameters.items():
                    with torch.no_grad():
                        parameter.copy_(placed(saved.get_tensor(f"weight/{name}"), parameter))
                    if f"step/{name}" in names:
                        step = saved.get_tensor(f"step/{name}").to(parameter.device)
                        states[parameter] = {"step": step} | {
                            key: placed(saved.get_tensor(f"{key}/{name}"), parameter)
                            for key in MOMENTS
                        }
                resume(self.optimiser, states)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._not_ours(str(error)) from error
        return progress

    def _held(self) -> Iterator[tuple[str, str, Tensor]]:
        for name, parameter in self.parameters.items():
            yield "weight", name, parameter.detach()
            for key, tensor in moments(self.optimiser, parameter).items():
                yield key, name, tensor

    def _head(self, progress: Progress) -> bytes:
        """What a safetensors file begins with: the header's length, and the header."""
        header: dict[str, Any] = {"__metadata__": {"progress": json.dumps(asdict(progress))}}
        at = 0
        for key, name, tensor in self._held():
            ends = at + tensor.numel() * tensor.itemsize
            header[f"{key}/{name}"] = {
                "dtype": _NAMES[tensor.dtype],
                "shape": [*tensor.shape],
                "data_offsets": [at, ends],
            }
            at = ends
        said = json.dumps(header).encode()
        said = said.ljust(-(-len(said) // 8) * 8)
        return len(said).to_bytes(8, "little") + said

    def _tensors(self, progress: Progress) -> Iterator[Tensor]:
        """What follows the header, tensor by tensor, in full on the CPU of the first process."""
        for key, name, tensor in self._held():
            for full in gathered({key: tensor}, self.devices).values():
                if key == "weight" and not torch.isfinite(full).all():
                    raise TrainingFailed(
                        f"{name} of the student is not finite at step {progress.step}.",
                        value=name,
                        fix="Lower the learning rate; the last checkpoint is from before it.",
                    )
                yield full.cpu()

    def _not_ours(self, why: str) -> TrainingFailed:
        return TrainingFailed(
            f"The checkpoint in {self.run.name!r} cannot be used: {why}.",
            value=str(self.run / FILE),
            fix="Remove it to begin again, or give another run folder.",
        )
