"""Perplexity and KL to the teacher, for any number of members in one pass over the text."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from boomerang.family.composition import Choice, Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.quality.walk import SharedWalk, whole_teacher

FEW = 16
"""Windows of a batch, at most, on a CPU."""
EARLY = 64
"""Of so many windows one is enough for first figures."""


@dataclass(frozen=True)
class Quality:
    """How good a member is: `perplexity` (exp of mean nats per token), `kl` in nats per token.

    `kl` is KL(teacher ‖ member), averaged over every token of the text; `windows` has the mean of
    each window, so that two members can be compared pair by pair.
    """

    perplexity: float
    kl: float
    windows: tuple[float, ...] = field(default=(), repr=False, compare=False)


def measure(
    couple: Couple, windows: Tensor, compositions: Sequence[Composition],
    tick: Callable[[], None] = lambda: None,
) -> list[Quality]:  # fmt: skip
    """Measure members over windows (W, T + 1) of token ids, in the order in which they are given.

    Each window predicts T tokens. `tick` is called after every member of every batch.
    """
    *_, (_, found) = growing(couple, windows, compositions, tick)
    return found


@torch.no_grad()
def growing(
    couple: Couple, windows: Tensor, compositions: Sequence[Composition],
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, list[Quality]]]:  # fmt: skip
    """As `measure`, with figures on the way: how many windows they are of, each time twice as many.

    The first are of one window in `EARLY`, the last of all.
    """
    where, tokens = couple.teacher.device, windows.shape[1] - 1
    unique = {c.code: c for c in compositions}
    sums: dict[str, list[Tensor]] = {code: [] for code in unique}
    done = 0
    while done < len(windows):
        until = min(len(windows), max(2 * done, -(-len(windows) // EARLY)))
        for ids in torch.split(windows[done:until], _batch(couple, tokens)):
            here = ids.to(where)
            members = list(unique.values())
            for code, found in _measure_batch(couple, here[:, :-1], here[:, 1:], members):
                sums[code].append(found)
                tick()
        done = until
        each = {code: torch.cat(parts).cpu() / tokens for code, parts in sums.items()}
        yield done, [quality(each[c.code]) for c in compositions]


def quality(windows: Tensor) -> Quality:
    """From the mean cross-entropy and KL of each window: (W, 2)."""
    ce, kl = windows.mean(0).tolist()
    perplexity = math.exp(ce) if ce < 700 else math.inf
    # Rounding may leave a little below zero; a member that gives NaN must never look the best.
    return Quality(
        perplexity=math.inf if math.isnan(ce) else perplexity,
        kl=math.inf if math.isnan(kl) else max(0.0, kl),
        windows=tuple(windows[:, 1].tolist()),
    )


def _measure_batch(
    couple: Couple, inputs: Tensor, labels: Tensor, members: Sequence[Composition]
) -> Iterator[tuple[str, Tensor]]:
    """Each member's code, and its cross-entropy and KL summed over each window: (B, 2)."""
    walk = SharedWalk(couple, inputs)
    target = Target(couple.teacher.head(couple.teacher.norm(walk.teacher[-1])), labels)
    teacher = whole_teacher(couple)
    for composition in walk.arranged(members):
        hidden = couple.side(composition.norm).norm(walk.last(composition))
        head = couple.side(composition.head).head
        found = target.itself if composition == teacher else target.compare(hidden, head)
        yield composition.code, found


class Target:
    """The teacher's distribution over a batch; the logits given are (B, T, vocabulary).

    With z the member's logits and p the teacher's distribution, cross-entropy is
    lse(z) − z[label] and KL is lse(z) − Σ p·z − H(p): one pass over z for each member.
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        self.shape, self.labels = labels.shape, labels.flatten()
        logs = logits.flatten(0, 1).float().log_softmax(-1)
        ce = -logs.gather(-1, self.labels[:, None])[:, 0]
        self.p = logs.exp()
        self.entropy = -(self.p * logs).sum(-1).double()
        self.itself = self._by_window(ce.double(), torch.zeros_like(self.entropy))

    def compare(self, hidden: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """Sums over each window for normed hidden states (B, T, width) under a head: (B, 2)."""
        ces, kls = [], []
        flat = hidden.flatten(0, 1)
        size = max(1, Accelerator.of(hidden.device).compared // self.p.shape[-1])
        for at in range(0, len(flat), size):
            part = slice(at, at + size)
            z = head(flat[part]).float()
            lse = z.logsumexp(-1).double()
            ces.append(lse - z.gather(-1, self.labels[part, None])[:, 0])
            # p sums to one, so a shift of z changes nothing, and keeps the product small.
            z -= lse[:, None].float()
            kls.append(-torch.einsum("nv,nv->n", self.p[part], z).double() - self.entropy[part])
        return self._by_window(torch.cat(ces), torch.cat(kls))

    def _by_window(self, ce: Tensor, kl: Tensor) -> Tensor:
        return torch.stack([ce.view(self.shape).sum(-1), kl.view(self.shape).sum(-1)], dim=-1)


def naive_counterpart(composition: Composition) -> Composition:
    """The member without distillation: each student layer is the teacher's own first of its block.

    It has the same depth; embeddings, norm and head are the teacher's.
    """
    choices = [Choice.FIRST if c is Choice.STUDENT else c for c in composition.choices]
    return Composition.of(composition.layermap, choices)


def _batch(couple: Couple, length: int) -> int:
    vocabulary = int(couple.teacher.model.lm_head.weight.shape[0])
    return Accelerator.of(couple.teacher.device).windows(FEW, length, vocabulary)
