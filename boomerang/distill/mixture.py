"""Text and instructions in one run, as the phases of a recipe mix them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from boomerang.distill.conversations import Kind
from boomerang.distill.data import Stream, Tokeniser, cached_stream
from boomerang.distill.recipe import Phase, Recipe, missing
from boomerang.distill.texts import Texts
from boomerang.errors import BadRecipe

_LONGEST = 8
"""Characters of a token, on average, at most."""
_STEPS = 1000
"""Steps that a recipe with minutes is given text for; more begin the text again."""


@dataclass(frozen=True)
class Mixture:
    """A stream for each kind that the phases draw on, of one length; a sequence is of one kind."""

    streams: Mapping[Kind, Stream]
    phases: tuple[Phase, ...]

    @property
    def length(self) -> int:
        """Tokens of a sequence."""
        return self._any.length

    @property
    def end(self) -> int | None:
        """The token before each document."""
        return self._any.end

    @property
    def _any(self) -> Stream:
        return next(iter(self.streams.values()))

    def batch(self, seed: int, step: int, sequences: int, steps: int) -> Tensor:
        """The sequences of one training step of `steps`: (sequences, length + 1), int64.

        Depends on nothing but its arguments. Each stream goes on where it was before the step, so
        that each of its epochs goes once through it, whatever the shares are.
        """
        before, after = (self._instructions(at, steps, sequences) for at in (step, step + 1))
        asked: tuple[tuple[Kind, int, int], ...] = (
            ("text", step * sequences - before, sequences - (after - before)),
            ("instructions", before, after - before),
        )
        rows = [row for kind, first, count in asked if count
                for row in self.streams[kind].rows(seed, first, count)]  # fmt: skip
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def positions(self, ids: Tensor) -> Tensor | None:
        """As those of a stream."""
        return self._any.positions(ids)

    def _instructions(self, step: int, steps: int, sequences: int) -> int:
        """Sequences of instructions before a step."""
        total, begins = 0, 0
        for phase in self.phases:
            ends = math.ceil(phase.until * steps)
            done = max(0, min(step, ends) - begins)
            # A little more, or 0.3 · 10 would be less than 3.
            total += math.floor(phase.instruction_share * sequences * done + 1e-6)
            begins = ends
        return total


def training_stream(
    recipe: Recipe,
    tokeniser: Tokeniser,
    texts: Texts,
    length: int,
    run: Path,
    tick: Callable[[], None] = lambda: None,
) -> Stream | Mixture:
    """What a recipe trains on: the text as it comes, or a mixture where it has phases.

    Of a dataset on the Hub as much is read as the recipe needs. Raises BadRecipe where a kind
    that the phases need is not there, or too little of it.
    """
    enough = (recipe.steps or _STEPS) * recipe.batch_tokens * _LONGEST
    if not recipe.phases:
        first = texts.first(enough)
        return cached_stream(tokeniser, first, "train", length, run, tick, loss_on=recipe.loss_on)
    recipe.refuse_without(texts.lacks, texts.name)
    streams: dict[Kind, Stream] = {}
    for kind in recipe.kinds:
        first = texts.first(math.ceil(enough * recipe.share(kind)))
        try:
            streams[kind] = cached_stream(
                tokeniser, first, "train", length, run, tick, kind=kind, loss_on=recipe.loss_on
            )
        except BadRecipe as error:
            # What only reading a whole dataset could tell.
            raise missing(recipe.name, kind, texts.name) if error.value == 0 else error from None
    return Mixture(streams, recipe.phases)
