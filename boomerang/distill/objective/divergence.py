"""Cross-entropy and KL(teacher ‖ student) from hidden states, without the logits of a whole batch.

Logits are made for a few tokens at a time. Where both heads are plain matrices, the gradients are
made in the same pass: with p the student's and q the teacher's distribution, the gradient with
respect to the student's logits is w_ce · (p − onehot) + w_kl · (p − q), so that nothing is computed
twice. A token then costs four products of width × vocabulary (logits of either side, gradient of
the hidden state, gradient of the weight), three where the head is frozen. The idea is that of
fused linear cross-entropy kernels (arXiv 2410.10989, section 3.2).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal


@dataclass(frozen=True)
class Output:
    """Means over tokens, in nats: `total` is the weighted sum and carries the gradient."""

    total: Tensor
    ce: Tensor
    kl: Tensor


@dataclass(frozen=True)
class _Plan:
    """What the one pass needs beside tensors: weights of the terms, and factors of the logits."""

    ce: float
    kl: float
    student: float
    teacher: float
    differentiate: bool

    @property
    def both(self) -> float:
        return self.ce + self.kl


def output_losses(
    student: Tensor, learner: Causal, teacher: Tensor, guide: Causal, labels: Tensor,
    ce_weight: float, kl_weight: float,
) -> Output:  # fmt: skip
    """Mean cross-entropy and mean KL(teacher ‖ student) of N tokens.

    `student` and `teacher` are normed hidden states (N, width), before the heads of `learner` and
    `guide`; `labels` (N,) are the next tokens.
    """
    mine, theirs = learner.projection, guide.projection
    if mine is None or theirs is None:
        return _recomputed(student, learner, teacher, guide, labels, ce_weight, kl_weight)
    plan = _Plan(ce_weight, kl_weight, mine[1], theirs[1], torch.is_grad_enabled())
    apply: Any = _OnePass.apply
    return Output(*apply(student, mine[0], teacher, theirs[0], labels, plan))


class _OnePass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, student: Tensor, weight: Tensor, teacher: Tensor, of_teacher: Tensor,
        labels: Tensor, plan: _Plan,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        kind = student.device.type
        products = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        with torch.autocast(kind, enabled=False):
            work = _Work(student, weight, teacher, of_teacher, labels, plan, products)
            wanted = plan.differentiate and plan.both > 0
            work.run(*(wanted and needed for needed in ctx.needs_input_grad[:2]))
        ctx.gradients = (work.of_hidden, work.of_weight)
        ce, kl = work.ce / len(labels), work.kl / len(labels)
        ctx.mark_non_differentiable(ce, kl)
        return plan.ce * ce + plan.kl * kl, ce, kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, share: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        # Given away and scaled in place: a copy of the head's gradient may be gigabytes.
        of_hidden, of_weight = ctx.gradients
        del ctx.gradients
        scaled = [None if g is None else g.mul_(share) for g in (of_hidden, of_weight)]
        return (*scaled, None, None, None, None)


class _Work:
    """One batch on its way through both heads: buffers, sums, gradients."""

    def __init__(
        self, student: Tensor, weight: Tensor, teacher: Tensor, of_teacher: Tensor,
        labels: Tensor, plan: _Plan, products: torch.dtype | None,
    ) -> None:  # fmt: skip
        dtype = products or torch.promote_types(student.dtype, weight.dtype)
        self.weight, self.of_teacher = weight.to(dtype), of_teacher.to(dtype)
        self.student, self.teacher = (
            (hidden if factor == 1 else hidden * factor).to(dtype)
            for hidden, factor in ((student, plan.student), (teacher, plan.teacher))
        )
        self.labels, self.plan, self.dtype = labels, plan, dtype
        self.like = student.dtype, weight.dtype
        # Softmax and sums are never in less than float32.
        self.exact = torch.promote_types(dtype, torch.float32)
        self.ce, self.kl = (torch.zeros((), device=student.device, dtype=self.exact) for _ in "ck")
        self.of_hidden: Tensor | None = None
        self.of_weight: Tensor | None = None

    def run(self, for_hidden: bool, for_weight: bool) -> None:
        """Every chunk; the gradients are those of the weighted mean."""
        tokens, vocabulary = len(self.labels), len(self.weight)
        on = Accelerator.of(self.student.device)
        size = min(tokens, max(1, on.logits // vocabulary))
        mine, theirs = (self.ce.new_empty(size, vocabulary) for _ in "st")
        scratch = self.ce.new_empty(min(size, max(1, on.rows // vocabulary)), vocabulary)
        if for_hidden:
            self.of_hidden = torch.empty_like(self.student)
        if for_weight:
            self.of_weight = self.ce.new_zeros(self.weight.shape)
        factor = self.plan.both / tokens
        for start in range(0, tokens, size):
            here = slice(start, min(start + size, tokens))
            s, t = mine[: here.stop - start], theirs[: here.stop - start]
            _product(self.student[here], self.weight.t(), s)
            _product(self.teacher[here], self.of_teacher.t(), t)
            wholes = (s, t, self.labels[here])
            pieces = (torch.split(whole, len(scratch)) for whole in wholes)
            for rows_s, rows_t, labels in zip(*pieces, strict=True):
                self._sums(rows_s, rows_t, scratch[: len(labels)], labels)
            slopes = s.to(self.dtype)
            if self.of_hidden is not None:
                torch.mm(slopes, self.weight, out=self.of_hidden[here])
                self.of_hidden[here] *= factor * self.plan.student
            if self.of_weight is not None:
                _add_product(self.of_weight, slopes.t(), self.student[here] * factor)
        self.of_hidden = None if self.of_hidden is None else self.of_hidden.to(self.like[0])
        self.of_weight = None if self.of_weight is None else self.of_weight.to(self.like[1])

    def _sums(self, s: Tensor, t: Tensor, q: Tensor, labels: Tensor) -> None:
        """Add the losses of some rows of logits; `s` becomes the slopes, over `both`.

        log Σ exp z is max z − log max p, two sweeps of a buffer less than torch.logsumexp.
        """
        top_s, top_t = s.amax(-1), t.amax(-1)
        torch.softmax(t, -1, out=q)
        norm_t = top_t - q.amax(-1).log()
        at_label = s.gather(-1, labels[:, None]).squeeze(-1)
        crossed = torch.sub(t, s, out=t).mul_(q).sum(-1)
        torch.softmax(s, -1, out=s)
        norm_s = top_s - s.amax(-1).log()
        self.ce += (norm_s - at_label).sum()
        self.kl += (crossed - norm_t + norm_s).sum()
        if self.plan.differentiate and self.plan.both > 0:
            s.sub_(q, alpha=self.plan.kl / self.plan.both)
            own = s.new_full((len(labels), 1), -self.plan.ce / self.plan.both)
            s.scatter_add_(-1, labels[:, None], own)


def _product(a: Tensor, b: Tensor, out: Tensor) -> None:
    if out.dtype == a.dtype:
        torch.mm(a, b, out=out)
    else:
        out.copy_(a @ b)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    if total.dtype == a.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b


def _recomputed(
    student: Tensor, learner: Causal, teacher: Tensor, guide: Causal, labels: Tensor,
    ce_weight: float, kl_weight: float,
) -> Output:  # fmt: skip
    """The same for other heads: the logits of each chunk are made again in the backward pass."""

    def sums(hidden: Tensor, of_teacher: Tensor, next_tokens: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            target = guide.head(of_teacher)
        return divergence(learner.head(hidden), target, next_tokens)

    with torch.no_grad():
        vocabulary = learner.head(student[:1]).shape[-1]
    size = max(1, Accelerator.of(student.device).logits // vocabulary)
    tokens = len(labels)
    wholes = (student, teacher, labels)
    pieces = zip(*(torch.split(whole, size) for whole in wholes), strict=True)
    parts = [checkpoint(sums, *piece, use_reentrant=False) for piece in pieces]
    ce = torch.stack([part[0] for part in parts]).sum() / tokens
    kl = torch.stack([part[1] for part in parts]).sum() / tokens
    return Output(ce_weight * ce + kl_weight * kl, ce.detach(), kl.detach())


def divergence(student: Tensor, teacher: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over N tokens of cross-entropy and KL(teacher ‖ student), in nats.

    `student` and `teacher` are logits (N, vocabulary), `labels` the next tokens (N,).
    """
    exact = torch.promote_types(student.dtype, torch.float32)
    log_student = functional.log_softmax(student, dim=-1, dtype=exact)
    log_teacher = functional.log_softmax(teacher, dim=-1, dtype=exact)
    ce = functional.nll_loss(log_student, labels, reduction="sum")
    kl = functional.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
    return ce, kl
