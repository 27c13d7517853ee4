"""The three losses of boomerang distillation (arXiv 2510.05064, section 3.2).

    CE + 0.1 · KL(teacher ‖ student) + 2.0/(M+1) · Σ cosine distance

M is the number of student layers. All are means over tokens, in float32, and every token is a real
one: sequences are packed, there is no padding to average over. Where not every next token is to be
predicted (`rows`), the means are over the places before those that are (arXiv 2608.22854, equation
1): the losses of a token are those of what the model says before it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from boomerang.distill.objective.divergence import output_losses
from boomerang.distill.parallel.devices import Devices
from boomerang.family.composition import Choice, Composition, Side
from boomerang.modules.couple import Couple, Trace


@dataclass(frozen=True)
class Weights:
    """The weights of the three terms."""

    ce: float
    kl: float
    cosine: float


@dataclass(frozen=True)
class Losses:
    """The terms as scalars, each a mean over tokens; `total` carries the gradient."""

    total: Tensor
    ce: Tensor
    kl: Tensor
    cosine: Tensor


def aligned(
    composition: Composition, student: Trace, teacher: Trace, *, frozen: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """The pairs of hidden states that the cosine term compares, for the parts that are trained.

    For the student itself: embeddings, the output of each layer but the last against the output
    of the last teacher layer of its block, and the final output after the norm: M+1 pairs. For a
    patched pass only the student layers that remain, and the final output. Frozen embeddings
    make a pair that is always zero, which is left out.
    """
    if composition.embeddings is Side.STUDENT and not frozen:
        yield student.embeddings, teacher.embeddings
    for j, choice in enumerate(composition.choices[:-1]):
        if choice is Choice.STUDENT:
            yield student.ends[j], teacher.ends[j]
    yield student.final, teacher.final


def distillation_losses(
    couple: Couple, composition: Composition, student: Trace, teacher: Trace, labels: Tensor,
    weights: Weights, *, frozen: bool, rows: Tensor | None = None,
) -> Losses:  # fmt: skip
    """The losses of one pass (`student`) of a member beside the teacher's; labels are (B, T).

    `rows` are the places among the B·T tokens that count, each once, None for all of them; with
    none at all every loss is 0. The divisor of the cosine term stays M+1 in a patched pass, so that
    each layer that remains is pulled as hard as in a plain one.
    """
    if rows is not None and not len(rows):
        nothing = student.final.sum() * 0
        return Losses(nothing, *[nothing.detach()] * 3)
    pairs = aligned(composition, student, teacher, frozen=frozen)
    distances = torch.stack([cosine_distance(a, b, rows) for a, b in pairs])
    cosine = distances.sum() / (len(composition.choices) + 1)
    output = output_losses(
        _rows(student.final, rows),
        couple.side(composition.head),
        _rows(teacher.final, rows),
        couple.teacher,
        labels.flatten() if rows is None else labels.flatten()[rows],
        weights.ce,
        weights.kl,
    )
    total = output.total + weights.cosine * cosine
    return Losses(total, output.ce, output.kl, cosine.detach())


def _rows(hidden: Tensor, rows: Tensor | None) -> Tensor:
    """Hidden states (B, T, width) as (N, width), of all tokens or of some."""
    flat = hidden.flatten(0, 1)
    return flat if rows is None else flat.index_select(0, rows)


_LEAST = 1e-8
"""A norm below this counts as this, as in torch's cosine_similarity."""


def cosine_distance(a: Tensor, b: Tensor, rows: Tensor | None = None) -> Tensor:
    """Mean over tokens of 1 − cos between hidden states (B, T, width); gradient for `a` alone.

    Over the tokens `rows` alone, places among the B·T, where they are given.
    """
    apply: Any = _Distance.apply
    distance: Tensor = apply(a, b, rows)
    return distance


class _Distance(torch.autograd.Function):
    """Keeps three numbers for each token, and the two tensors themselves: no copy in float32.

    d(1 − cos)/da = (cos · a/|a| − b/|b|) / |a|.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rows: Tensor | None) -> Tensor:
        x, y = _exact(a), _exact(b)
        of_a = torch.linalg.vector_norm(x, dim=-1).clamp_min_(_LEAST)
        of_b = torch.linalg.vector_norm(y, dim=-1).clamp_min_(_LEAST)
        cosine = torch.linalg.vecdot(x, y).div_(of_a).div_(of_b)
        ctx.save_for_backward(a, b, of_a, of_b, cosine, rows)
        loss: Tensor = 1 - (cosine if rows is None else cosine.flatten()[rows]).mean()
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, share: Tensor) -> tuple[Tensor, None, None]:
        a, b, of_a, of_b, cosine, rows = ctx.saved_tensors
        if rows is not None:
            counts = torch.zeros_like(cosine).view(-1).index_fill_(0, rows, 1.0).view_as(cosine)
            share = share * counts * (cosine.numel() / len(rows))
        each = share / cosine.numel() / of_a
        along, across = (each * cosine / of_a)[..., None], (each / of_b)[..., None]
        slope: Tensor = torch.addcmul(_exact(a) * along, _exact(b), across, value=-1)
        return slope.to(a.dtype), None, None


def _exact(hidden: Tensor) -> Tensor:
    return hidden.to(torch.promote_types(hidden.dtype, torch.float32))


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
