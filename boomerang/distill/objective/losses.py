"""The three losses of boomerang distillation (arXiv 2510.05064, section 3.2).

    CE + 0.1 · KL(teacher ‖ student) + 2.0/(M+1) · Σ cosine distance

M is the number of student layers. All are means over tokens, in float32, and every token is a real
one: sequences are packed, there is no padding to average over. Where not every next token is to be
predicted (`rows`), the means are over the places before those that are (arXiv 2608.22854, equation
1): the losses of a token are those of what the model says before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from boomerang.distill.objective.cosine import cosine_distance
from boomerang.distill.objective.divergence import output_losses
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
    couple: Couple,
    composition: Composition,
    student: Trace,
    teacher: Trace,
    labels: Tensor,
    weights: Weights,
    *,
    frozen: bool,
    rows: Tensor | None = None,
) -> Losses:
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
