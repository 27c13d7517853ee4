"""Perplexity and KL to the teacher, for any number of members in one pass over the text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from boomerang.composition import Choice, Composition, Side
from boomerang.distill.losses import divergence
from boomerang.quality.models import Context, Couple

LOGITS = 2**26
"""Logits of one model that a batch of windows may have."""


@dataclass(frozen=True)
class Quality:
    """How good a member is: `perplexity` (exp of mean nats per token), `kl` in nats per token.

    `kl` is KL(teacher ‖ member), averaged over every token of the text.
    """

    perplexity: float
    kl: float


@torch.no_grad()
def measure(couple: Couple, windows: Tensor, compositions: Sequence[Composition]) -> list[Quality]:
    """Measure members over windows (W, T + 1) of token ids, in the order in which they are given.

    Each window predicts T tokens. The teacher's logits are computed once for each batch, and
    members that begin alike share the hidden states of what they have in common.
    """
    where = couple.teacher.device
    unique = {c.code: c for c in compositions}
    # Sorted, members with a common beginning stand together, and one stack of states serves all.
    ordered = sorted(unique.values(), key=lambda c: (c.embeddings, c.choices))
    sums = {code: torch.zeros(2, dtype=torch.float64, device=where) for code in unique}
    for ids in torch.split(windows, _batch(couple, windows.shape[1] - 1)):
        here = ids.to(where)
        _measure_batch(couple, here[:, :-1], here[:, 1:].flatten(), ordered, sums)
    tokens = windows.shape[0] * (windows.shape[1] - 1)
    found = {code: (total / tokens).tolist() for code, total in sums.items()}
    return [
        Quality(perplexity=_exp(found[c.code][0]), kl=_divergence(found[c.code][1]))
        for c in compositions
    ]


def _measure_batch(
    couple: Couple,
    inputs: Tensor,
    labels: Tensor,
    ordered: Sequence[Composition],
    sums: dict[str, Tensor],
) -> None:
    blocks = [Choice.BLOCK] * len(couple.layermap.kept)
    target = couple.logits(Composition.of(couple.layermap, blocks), inputs).flatten(0, 1)
    walk = SharedWalk(couple, inputs)
    for composition in ordered:
        hidden = couple.side(composition.norm).norm(walk.last(composition))
        logits = couple.side(composition.head).head(hidden).flatten(0, 1)
        size = max(1, LOGITS // 4 // logits.shape[-1])
        chunks = zip(*(torch.split(part, size) for part in (logits, target, labels)), strict=True)
        for member, teacher, next_tokens in chunks:
            ce, kl = divergence(member, teacher, next_tokens)
            sums[composition.code] += torch.stack([ce, kl])


class SharedWalk:
    """The hidden states of one member after another over ids (B, T), keeping the common start."""

    def __init__(self, couple: Couple, ids: Tensor) -> None:
        self.couple, self.ids = couple, ids
        self._side: Side | None = None
        self._choices: tuple[Choice, ...] = ()
        self._states: list[Tensor] = []
        self._context: Context | None = None

    def last(self, composition: Composition) -> Tensor:
        """The member's hidden states (B, T, width) after its last layer."""
        if composition.embeddings is not self._side or self._context is None:
            model = self.couple.side(composition.embeddings)
            self._states = [model.embed(self.ids)]
            self._context = model.context(self._states[0])
            self._side, self._choices = composition.embeddings, ()
        common = _common(self._choices, composition.choices)
        del self._states[common + 1 :]
        self._states += self.couple.walk(composition, self._states[-1], self._context, common)
        self._choices = composition.choices
        return self._states[-1]


def naive_counterpart(composition: Composition) -> Composition:
    """The member without distillation: each student layer is the teacher's own first of its block.

    It has the same depth; embeddings, norm and head are the teacher's.
    """
    choices = [Choice.FIRST if c is Choice.STUDENT else c for c in composition.choices]
    return Composition.of(composition.layermap, choices)


def ladder_members(couple: Couple, order: Sequence[int]) -> Iterator[Composition]:
    """The members of a patch order, from k = 0 (the student) to k = K (the teacher)."""
    for k in range(len(order) + 1):
        yield Composition.patched(couple.layermap, order[:k])


def _common(a: Sequence[Choice], b: Sequence[Choice]) -> int:
    same = [x is y for x, y in zip(a, b, strict=False)]
    return (*same, False).index(False)


def _batch(couple: Couple, length: int) -> int:
    vocabulary = int(couple.teacher.model.lm_head.weight.shape[0])
    return min(16, max(1, LOGITS // (vocabulary * length)))


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700 else math.inf


def _divergence(kl: float) -> float:
    # Rounding may leave a little below zero; a member that gives NaN must never look the best.
    return math.inf if math.isnan(kl) else max(0.0, kl)
