"""The three losses of boomerang distillation (arXiv 2510.05064, section 3.2).

    CE + 0.1 · KL(teacher ‖ student) + 2.0/(M+1) · Σ cosine distance

M is the number of student layers. All are means over tokens, in float32, and every token is a real
one: sequences are packed, there is no padding to average over.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from boomerang.composition import Choice, Composition, Side
from boomerang.quality.models import Couple, Trace

Head = Callable[[Tensor], Tensor]
"""Normed hidden states (N, width) → logits (N, vocabulary)."""

LOGITS = 2**25
"""Logits that may exist at once for one side; more tokens go through the head in chunks."""


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


def divergence(student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over N tokens of cross-entropy and KL(teacher ‖ student), in nats.

    `student` and `teacher` are logits (N, vocabulary), `labels` the next tokens (N,).
    """
    log_student = functional.log_softmax(student.float(), dim=-1)
    log_teacher = functional.log_softmax(teacher.float(), dim=-1)
    ce = functional.nll_loss(log_student, labels, reduction="sum")
    kl = functional.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
    return ce, kl


def output_losses(
    student: Tensor, student_head: Head, teacher: Tensor, teacher_head: Head, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and mean KL(teacher ‖ student) in nats per token.

    `student` and `teacher` are normed hidden states (N, width), `labels` (N,). Logits of more
    tokens than LOGITS allows are made chunk by chunk, and made again in the backward pass, so
    that memory does not grow with the number of tokens times the vocabulary.
    """

    def sums(hidden: Tensor, of_teacher: Tensor, next_tokens: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = teacher_head(of_teacher)
        return divergence(student_head(hidden), target, next_tokens)

    tokens = len(labels)
    size = chunk_tokens(student, student_head)
    if tokens <= size:
        ce, kl = sums(student, teacher, labels)
        return ce / tokens, kl / tokens
    parts = [
        checkpoint(sums, *part, use_reentrant=False)
        for part in zip(
            *(torch.split(whole, size) for whole in (student, teacher, labels)), strict=True
        )
    ]
    return (
        torch.stack([ce for ce, _ in parts]).sum() / tokens,
        torch.stack([kl for _, kl in parts]).sum() / tokens,
    )


def chunk_tokens(hidden: Tensor, head: Head) -> int:
    """How many tokens may go through `head` at once; `hidden` is (N, width)."""
    with torch.no_grad():
        vocabulary = head(hidden[:1]).shape[-1]
    return max(1, LOGITS // vocabulary)


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over tokens of 1 − cos between hidden states (B, T, width)."""
    return (1 - functional.cosine_similarity(a.float(), b.float(), dim=-1)).mean()


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
) -> Losses:
    """The losses of one pass (`student`) of a member beside the teacher's; labels are (B, T).

    The divisor of the cosine term stays M+1 in a patched pass, so that each layer that remains
    is pulled as hard as in a plain one.
    """
    pairs = aligned(composition, student, teacher, frozen=frozen)
    distances = torch.stack([cosine_distance(a, b) for a, b in pairs])
    cosine = distances.sum() / (len(composition.choices) + 1)
    ce, kl = output_losses(
        student.final.flatten(0, 1),
        couple.side(composition.head).head,
        teacher.final.flatten(0, 1),
        couple.teacher.head,
        labels.flatten(),
    )
    total = weights.ce * ce + weights.kl * kl + weights.cosine * cosine
    return Losses(total, ce.detach(), kl.detach(), cosine.detach())
