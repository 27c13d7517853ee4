"""Perplexity and KL to the teacher, for any number of members in one pass over the text."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from boomerang.family.composition import Choice, Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.quality.target import ALIKE, LOSSES, Head, Target, parts_of
from boomerang.quality.walk import SharedWalk, whole_teacher

FEW = 16
"""Windows of a batch, at most, on a CPU."""
EARLY = 64
"""Of so many windows one is enough for first figures."""


@dataclass(frozen=True)
class Likeness:
    """How like a member is to its teacher, and to the student that may draft for it.

    `agreement`: the share of tokens at which it has the same most likely token as the teacher.
    `acceptance`: the share of its own tokens that the teacher would accept, were it the draft
    model; `drafted`: the share of the student's tokens that it would accept (arXiv 2211.17192).
    `by_position` has its perplexity in equal parts of a window, from the first tokens to the last.
    """

    agreement: float
    acceptance: float
    drafted: float
    by_position: tuple[float, ...]


@dataclass(frozen=True)
class Quality:
    """How good a member is: `perplexity` (exp of mean nats per token), `kl` in nats per token.

    `kl` is KL(teacher ‖ member), averaged over every token of the text; `windows` has the mean of
    each window, so that two members can be compared pair by pair. Both errors are standard errors
    over the windows, as if these were drawn one by one; of one window there are none. `likeness` is
    there of members that were looked at closer.
    """

    perplexity: float
    kl: float
    windows: tuple[float, ...] = field(default=(), repr=False, compare=False)
    likeness: Likeness | None = field(default=None, compare=False)
    perplexity_error: float | None = field(default=None, compare=False)
    kl_error: float | None = field(default=None, compare=False)


def measure(
    couple: Couple, windows: Tensor, compositions: Sequence[Composition],
    tick: Callable[[int], None] = lambda windows: None,
) -> list[Quality]:  # fmt: skip
    """Measure members over windows (W, T + 1) of token ids, in the order in which they are given.

    Each window predicts T tokens. `tick` is called after every member of every batch, with
    the number of its windows.
    """
    *_, (_, found) = growing(couple, windows, compositions, tick)
    return found


@torch.no_grad()
def growing(
    couple: Couple, windows: Tensor, compositions: Sequence[Composition],
    tick: Callable[[int], None] = lambda windows: None, *, closer: Collection[Composition] = (),
) -> Iterator[tuple[int, list[Quality]]]:  # fmt: skip
    """As `measure`, with figures on the way: how many windows they are of, each time twice as many.

    The first are of one window in `EARLY`, the last of all. Those of `closer` have a likeness.
    """
    where, tokens = couple.teacher.device, windows.shape[1] - 1
    unique = {c.code: c for c in compositions}
    sums: dict[str, list[Tensor]] = {code: [] for code in unique}
    near = {c.code for c in closer}
    done = 0
    while done < len(windows):
        until = min(len(windows), max(2 * done, -(-len(windows) // EARLY)))
        for ids in torch.split(windows[done:until], _batch(couple, tokens, bool(near))):
            here = ids.to(where)
            members = list(unique.values())
            for code, found in _measure_batch(couple, here[:, :-1], here[:, 1:], members, near):
                sums[code].append(found)
                tick(len(here))
        done = until
        each = {code: torch.cat(parts).cpu() for code, parts in sums.items()}
        yield done, [quality(each[c.code], tokens) for c in compositions]


def quality(windows: Tensor, tokens: int) -> Quality:
    """From the sums over each window of so many tokens, as Target gives them: (W, columns)."""
    ce, kl, *more = (windows.mean(0) / tokens).tolist()
    of_ce, of_kl = (_error(windows[:, column] / tokens) for column in range(LOSSES))
    # Rounding may leave a little below zero; a member that gives NaN must never look the best.
    return Quality(
        perplexity=_perplexity(ce),
        kl=math.inf if math.isnan(kl) else max(0.0, kl),
        windows=tuple((windows[:, 1] / tokens).tolist()),
        likeness=_likeness(more, tokens) if more else None,
        # By the slope of exp at the mean.
        perplexity_error=None if of_ce is None else of_ce * _perplexity(ce),
        kl_error=of_kl,
    )


def _error(each: Tensor) -> float | None:
    """The standard error of the mean of (W,) windows; None where it is not known."""
    if len(each) < 2:
        return None
    found = float(each.std()) / math.sqrt(len(each))
    return found if math.isfinite(found) else None


def _likeness(means: Sequence[float], tokens: int) -> Likeness:
    shares = (0.0 if math.isnan(mean) else min(1.0, mean) for mean in means[:ALIKE])
    agreement, acceptance, drafted = shares
    lengths = [len(part) for part in torch.arange(tokens).tensor_split(parts_of(tokens))]
    parts = zip(means[ALIKE:], lengths, strict=True)
    by_position = tuple(_perplexity(ce * tokens / n) for ce, n in parts)
    return Likeness(agreement, acceptance, drafted, by_position)


def _perplexity(ce: float) -> float:
    return math.exp(ce) if ce < 700 else math.inf


def _measure_batch(
    couple: Couple, inputs: Tensor, labels: Tensor, members: Sequence[Composition],
    near: Collection[str],
) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
    """Each member's code, and what Target finds of it: (B, columns)."""
    walk = SharedWalk(couple, inputs)
    target = Target(couple.teacher.head(couple.teacher.norm(walk.teacher[-1])), labels)

    def ended(composition: Composition) -> tuple[Tensor, Head]:
        hidden = couple.side(composition.norm).norm(walk.last(composition))
        return hidden, couple.side(composition.head).head

    teacher, student = whole_teacher(couple), Composition.patched(couple.layermap, ())
    of_student = target.of_student(*ended(student)) if near else None
    for composition in walk.arranged(members):
        closer = composition.code in near
        if composition == teacher:
            found = target.of_teacher()
        elif composition == student and of_student is not None:
            found = of_student
        else:
            found = target.compare(*ended(composition), closer=closer)
        yield composition.code, found if closer else found[:, :LOSSES]


def naive_counterpart(composition: Composition) -> Composition:
    """The member without distillation: each student layer is the teacher's own first of its block.

    It has the same depth; embeddings, norm and head are the teacher's.
    """
    choices = [Choice.FIRST if c is Choice.STUDENT else c for c in composition.choices]
    return Composition.of(composition.layermap, choices)


def _batch(couple: Couple, length: int, closer: bool) -> int:
    vocabulary = int(couple.teacher.model.lm_head.weight.shape[0])
    # Looked at closer, the student's distribution is there beside the teacher's.
    numbers = 2 * vocabulary if closer else vocabulary
    return Accelerator.of(couple.teacher.device).windows(FEW, length, numbers)
