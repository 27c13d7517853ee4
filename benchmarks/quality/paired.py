"""Means over windows of text, and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev


@dataclass(frozen=True)
class Estimate:
    """A mean in nats a token, and its standard error over windows."""

    mean: float
    error: float

    @classmethod
    def of(cls, windows: Sequence[float]) -> "Estimate":
        """Of one value for each window."""
        error = stdev(windows) / sqrt(len(windows)) if len(windows) > 1 else 0.0
        return cls(mean(windows), error)

    @classmethod
    def difference(cls, one: Sequence[float], other: Sequence[float]) -> "Estimate":
        """Of one − other, window by window: what makes both hard cancels."""
        return cls.of([a - b for a, b in zip(one, other, strict=True)])

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"

    @property
    def signed(self) -> str:
        """With its sign, as a difference is written."""
        return f"{self.mean:+.4f} ± {self.error:.4f}"


def over_runs(runs: Sequence[float]) -> float:
    """The standard error of a mean over runs with seeds of their own; 0 for one, which has none."""
    return stdev(runs) / sqrt(len(runs)) if len(runs) > 1 else 0.0


def over_seeds(runs: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each window over the seeds."""
    return [mean(values) for values in zip(*runs, strict=True)]
