"""Text and instructions in one run, as the phases of a recipe mix them."""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from boomerang.errors import BadRecipe
from boomerang.recipes.recipe import Phase, Recipe, missing
from boomerang.texts.conversations import DataKind
from boomerang.texts.texts import Texts
from boomerang.tokens.background import stream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.token_file import TokenSpec
from boomerang.tokens.windows import Numbered, Windows, tokens_for

_STEPS = 1000
"""Steps that a recipe with minutes is given text for; more begin the text again."""


class Mixture(Windows):
    """A stream for each kind that the phases draw on, of one length; a sequence is of one kind."""

    def __init__(self, streams: Mapping[DataKind, Numbered], phases: tuple[Phase, ...]) -> None:
        self.streams, self._phases = streams, phases
        one = next(iter(streams.values()))
        self.length, self.end = one.length, one.end

    def batch(self, seed: int, step: int, sequences: int, steps: int) -> Tensor:
        """The sequences of one training step of `steps`: (sequences, length + 1), int64.

        Depends on nothing but its arguments. Each stream goes on where it was before the step, so
        that each of its epochs goes once through it, whatever the shares are.
        """
        rows = [row for kind, first, count in self._asked(step, sequences, steps)
                for row in self.streams[kind].rows(seed, first, count)]  # fmt: skip
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def ready(self, step: int, sequences: int, steps: int) -> bool:
        """As that of Windows."""
        asked = self._asked(step, sequences, steps)
        return all(self.streams[kind].has(first + count - 1) for kind, first, count in asked)

    def close(self) -> None:
        """As that of Windows."""
        for one in self.streams.values():
            one.close()

    def _asked(self, step: int, sequences: int, steps: int) -> Iterator[tuple[DataKind, int, int]]:
        """What a step takes of each stream: from which sequence on, and how many."""
        before, after = (self._instructions(at, steps, sequences) for at in (step, step + 1))
        if sequences > after - before:
            yield "text", step * sequences - before, sequences - (after - before)
        if after > before:
            yield "instructions", before, after - before

    def _instructions(self, step: int, steps: int, sequences: int) -> int:
        """Sequences of instructions before a step."""
        total, begins = 0, 0
        for phase in self._phases:
            ends = math.ceil(phase.until * steps)
            done = max(0, min(step, ends) - begins)
            # A little more, or 0.3 · 10 would be less than 3.
            total += math.floor(phase.instruction_share * sequences * done + 1e-6)
            begins = ends
        return total


def training_stream(
    recipe: Recipe, tokeniser: Tokeniser, texts: Texts, length: int, run: Path,
    tick: Callable[[], None] = lambda: None, *, write: bool = True,
) -> Windows:  # fmt: skip
    """What a recipe trains on: the text as it comes, or a mixture where it has phases.

    As `ahead.stream`, of as many tokens as the recipe needs. Raises BadRecipe where a kind that
    the phases need is not there, or too little of it.
    """
    sequences = (recipe.steps or _STEPS) * max(1, recipe.batch_tokens // length)

    def of(kind: DataKind | None, share: float) -> Numbered:
        spec = TokenSpec(
            teacher=tokeniser.folder, vocabulary=tokeniser.vocabulary, text=texts.location,
            digest=texts.digest, kind=kind, loss_on=recipe.loss_on,
            most=tokens_for(math.ceil(share * sequences) + 1, length),
        )  # fmt: skip
        return stream(tokeniser, texts, spec, length, run, tick, write=write)

    if not recipe.phases:
        return of(None, 1)
    recipe.refuse_without(texts.lacks, texts.name)
    streams: dict[DataKind, Numbered] = {}
    for kind in recipe.kinds:
        try:
            streams[kind] = of(kind, recipe.share(kind))
        except BaseException as error:
            for one in streams.values():
                one.close()
            if isinstance(error, BadRecipe) and error.value == 0:
                # What only reading a whole dataset could tell.
                raise missing(recipe.name, kind, texts.name) from None
            raise
    return Mixture(streams, recipe.phases)
