"""One pass after another over the same text, of which what members have in common is kept."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import DynamicCache

from boomerang.family.composition import Choice, Composition, Side
from boomerang.modules.causal import Context
from boomerang.modules.couple import Couple


def whole_teacher(couple: Couple) -> Composition:
    """The member that is the teacher itself."""
    return Composition.of(couple.layermap, [Choice.BLOCK] * len(couple.layermap.kept))


class SharedWalk:
    """The hidden states of one member after another over ids (B, T), keeping the common start.

    The teacher's own states serve every member that begins as the teacher does, and members that
    begin alike are walked one after another.

    `teacher` has the teacher's embeddings and its states after each block, so that no member
    computes them again. Told to `remember`, it has in `caches` the keys and values of each block
    of the member that was walked last. With `positions` (B, T) a text begins wherever they do not
    go on by one, as in Causal.context.
    """

    def __init__(
        self, couple: Couple, ids: Tensor, *, remember: bool = False,
        positions: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.couple, self.ids, self.remember, self.positions = couple, ids, remember, positions
        self.shared = _same_embeddings(couple)
        embedded = couple.teacher.embed(ids, positions)
        self._contexts = {Side.TEACHER: couple.teacher.context(embedded, positions)}
        self._side = Side.TEACHER
        self._choices: tuple[Choice, ...] = ()
        self._states: list[Tensor] = [embedded]
        self.caches: list[DynamicCache] = []
        whole = whole_teacher(couple)
        self._walk(whole, Side.TEACHER)
        self.teacher, self._of_teacher = [*self._states], [*self.caches]

    def arranged(self, compositions: Sequence[Composition]) -> list[Composition]:
        """The members in an order in which those with a common beginning stand together.

        The student is the first, and begins as the next does.
        """
        by_choices = sorted(compositions, key=lambda c: c.choices, reverse=True)
        return sorted(by_choices, key=self._embeddings)

    def last(self, composition: Composition) -> Tensor:
        """The member's hidden states (B, T, width) after its last layer."""
        side = self._embeddings(composition)
        common = _common(self._choices, composition.choices) if side is self._side else -1
        lead = _common((Choice.BLOCK,) * len(composition.choices), composition.choices)
        if side is Side.TEACHER and lead >= common:
            self._states, self.caches = self.teacher[: lead + 1], self._of_teacher[:lead]
        elif common < 0:
            self._states, self.caches = [self._embedded(side)], []
        else:
            del self._states[common + 1 :], self.caches[common:]
        self._walk(composition, side)
        return self._states[-1]

    def _walk(self, composition: Composition, side: Side) -> None:
        """Through the blocks that are not walked yet."""
        context = self.context(side)
        for j in range(len(self._states) - 1, len(composition.choices)):
            if self.remember:
                # A cache for each block: a layer's index is another's in the other model.
                self.caches.append(cache := DynamicCache())
                context = replace(context, past=cache)
            self._states.append(self.couple.step(composition, j, self._states[-1], context))
        self._side, self._choices = side, composition.choices

    def context(self, side: Side) -> Context:
        """Positions and masks of a pass that begins with that side's embeddings."""
        if side not in self._contexts:
            of_side = self.couple.side(side)
            self._contexts[side] = of_side.context(self._states[0], self.positions)
        return self._contexts[side]

    def _embedded(self, side: Side) -> Tensor:
        return self.couple.side(side).embed(self.ids, self.positions)

    def _embeddings(self, composition: Composition) -> Side:
        return Side.TEACHER if self.shared else composition.embeddings


def _same_embeddings(couple: Couple) -> bool:
    """Whether both sides embed alike, as they do where embeddings were frozen."""
    pairs = zip(couple.teacher.embeddings, couple.student.embeddings, strict=True)
    return all(
        torch.equal(a, b)
        for one, other in pairs
        for a, b in zip(one.parameters(), other.parameters(), strict=True)
    )


def _common(a: Sequence[Choice], b: Sequence[Choice]) -> int:
    same = [x is y for x, y in zip(a, b, strict=False)]
    return (*same, False).index(False)
