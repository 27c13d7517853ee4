"""A mean of losses over the passes of one step or many."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from boomerang.distill.objective.losses import Losses
from boomerang.distill.parallel.devices import Devices


class Mean:
    """A weighted mean of losses, kept on the device until it is asked for."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._weight = 0.0

    def add(self, losses: Losses, weight: float) -> None:
        """Add the losses of one pass."""
        values = torch.stack([losses.total.detach(), losses.ce, losses.kl, losses.cosine]) * weight
        self._sum = values if self._sum is None else self._sum + values
        self._weight += weight

    def merge(self, other: "Mean") -> None:
        """Add what another mean was made of."""
        if other._sum is not None:
            self._sum = other._sum if self._sum is None else self._sum + other._sum
            self._weight += other._weight

    def over(self, devices: Devices) -> "Mean":
        """The mean over what all processes have added; one that has added nothing takes part."""
        if not devices.alone:
            here = torch.zeros(4) if self._sum is None else self._sum.cpu()
            *sums, weight = devices.sum(torch.tensor([*here, self._weight])).unbind()
            self._sum, self._weight = torch.stack(sums), float(weight)
        return self

    def means(self) -> dict[str, float]:
        """The means by name; NaN where nothing was added."""
        values: Iterator[float] = iter(
            [math.nan] * 4 if self._sum is None else (self._sum / self._weight).tolist()
        )
        return dict(zip(("loss", "ce", "kl", "cosine"), values, strict=True))
