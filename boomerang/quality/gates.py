"""What a member must pass before it is offered as good, from what was measured of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from boomerang.quality.generation import ANSWERED, Continuation
from boomerang.quality.measure import Quality

DIP = 0.02
"""How much worse than its smaller neighbour a member's KL or perplexity may be, as a share."""
COLLAPSE = 0.25
"""How much more of a member's text than of the teacher's may be repeated, or missing.

And how many more of its turns may have no end.
"""


@dataclass(frozen=True)
class Measured:
    """A member's quality, and what it writes where that was checked."""

    layers: int
    quality: Quality
    continuation: Continuation | None = None


def flags(ladder: Sequence[Measured]) -> list[tuple[str, ...]]:
    """Why each member of a ladder (smallest first, the teacher last) is not offered as good.

    Each reason is a sentence with its figures; an empty tuple is a member that passes.
    """
    teacher = ladder[-1].continuation
    found: list[tuple[str, ...]] = []
    for at, member in enumerate(ladder):
        why = [_not_finite(member), _dip(ladder[at - 1] if at else None, member)]
        if teacher is not None and member.continuation is not None:
            why.append(_collapse(member.continuation, teacher))
        found.append(tuple(reason for reason in why if reason))
    return found


def _not_finite(member: Measured) -> str:
    quality = member.quality
    if math.isfinite(quality.kl) and math.isfinite(quality.perplexity):
        return ""
    return "Its loss is not finite."


def _dip(smaller: Measured | None, member: Measured) -> str:
    if smaller is None:
        return ""
    for name, here, there in (
        ("KL to the teacher", member.quality.kl, smaller.quality.kl),
        ("perplexity", member.quality.perplexity, smaller.quality.perplexity),
    ):
        if here > there * (1 + DIP):
            return (
                f"A dip: its {name} is {here:.4g}, that of the next smaller member "
                f"({smaller.layers} layers) {there:.4g}."
            )
    return ""


def _collapse(of_member: Continuation, of_teacher: Continuation) -> str:
    if of_member.repetition > of_teacher.repetition + COLLAPSE:
        return (
            f"It repeats itself: {of_member.repetition:.0%} of what it writes, "
            f"{of_teacher.repetition:.0%} of the teacher's."
        )
    if of_member.empty > of_teacher.empty + COLLAPSE:
        return f"It writes nothing after {of_member.empty:.0%} of the beginnings."
    stopped, wanted = of_member.stopped, of_teacher.stopped
    if stopped is not None and wanted is not None and stopped < wanted - COLLAPSE:
        return (
            f"It does not end its turns: {stopped:.0%} of them within {ANSWERED} tokens, the "
            f"teacher {wanted:.0%}."
        )
    return ""
