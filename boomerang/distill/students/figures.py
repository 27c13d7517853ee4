"""Whether a student that a weight delta made is to be trusted, in figures."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

TRUSTED = 0.5
"""The cosine below which a transferred student is not to be trusted."""
RELATED = 0.5
"""The drift above which a teacher is hardly a fine-tune of that base."""


@dataclass
class Figures:
    """Sums over every element, from which cosine, norm ratio and drift are made."""

    dot: float = 0.0
    base: float = 0.0
    own: float = 0.0
    moved: float = 0.0
    pruned: float = 0.0
    compared: bool = field(default=False)

    def add(self, change: Tensor, pruned: Tensor, before: Tensor) -> None:
        """Add elements of the base's delta, of the pruned fine-tune and of the pruned base."""
        self.base += _square(change)
        self.moved += _square(pruned - before)
        self.pruned += _square(before)

    def compare(self, change: Tensor, own: Tensor) -> None:
        """Add elements of the base's delta and of the fine-tune's own."""
        self.dot += float(torch.dot(change.double(), own.double()))
        self.own += _square(own)

    @property
    def cosine(self) -> float | None:
        """Between the two distillation deltas; None without a student of the fine-tune."""
        lengths = math.sqrt(self.base * self.own)
        return self.dot / lengths if self.compared and lengths else None

    @property
    def norm_ratio(self) -> float | None:
        """The length of the base's delta over that of the fine-tune's own."""
        return math.sqrt(self.base / self.own) if self.compared and self.own else None

    @property
    def drift(self) -> float:
        """How far fine-tuning went, relative to the base's weights."""
        return math.sqrt(self.moved / self.pruned) if self.pruned else 0.0

    @property
    def warning(self) -> str | None:
        """Why the student is not to be trusted, where a figure says so."""
        cosine = self.cosine
        if cosine is not None and cosine < TRUSTED:
            return (
                f"The distillation deltas of base and fine-tune have a cosine of {cosine:.2f}, "
                f"below {TRUSTED}: distil the fine-tune itself."
            )
        if self.drift > RELATED:
            return (
                f"The teacher's weights differ from the base's by {self.drift:.2f} of their "
                f"length, above {RELATED}: it is hardly a fine-tune of that base."
            )
        return None

    def json(self) -> dict[str, Any]:
        """The figures by name, with the warning, if any."""
        short = {"cosine": self.cosine, "norm_ratio": self.norm_ratio, "drift": self.drift}
        rounded = {k: None if v is None else round(v, 4) for k, v in short.items()}
        return {**rounded, "warning": self.warning}


def _square(values: Tensor) -> float:
    return float(values.double().square().sum())
