"""What a member writes when it is let go: collapse shows here, and in no classification task.

Every member continues the same beginnings of held-out text, greedily, with the modules it shares
with the others (no copy of a model is made), and with keys and values kept from token to token.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from boomerang.family.composition import Composition
from boomerang.modules.causal import Context
from boomerang.modules.couple import Couple
from boomerang.quality.walk import SharedWalk, whole_teacher

PROMPTS = 8
PROMPT = 32
"""Tokens of a beginning."""
WRITTEN = 32
"""Tokens that are written after it."""
RUN = 4
"""Tokens of a run that counts as said before."""


@dataclass(frozen=True)
class Continuation:
    """What was written after the beginnings, each a share from 0 to 1.

    `repetition`: runs of RUN tokens that stood in the same continuation before; `empty`:
    beginnings after which the text ends at once; `agreement`: tokens of the teacher's own
    continuation that the member would have written too, at each place.
    """

    repetition: float
    empty: float
    agreement: float


@dataclass(frozen=True)
class Writer:
    """Lets members of a couple continue `prompts` (P, length); `end` is the end-of-text token."""

    couple: Couple
    prompts: Tensor
    end: int
    of_teacher: Tensor

    @classmethod
    @torch.no_grad()
    def over(cls, couple: Couple, windows: Tensor, end: int) -> "Writer":
        """A writer over the beginnings of held-out windows (W, T + 1), spread over all of them."""
        every = max(1, len(windows) // PROMPTS)
        length = min(PROMPT, max(1, windows.shape[1] // 2))
        prompts = windows[::every][:PROMPTS, :length].to(couple.teacher.device)
        places = getattr(couple.teacher.config, "max_position_embeddings", None)
        count = max(1, min(WRITTEN, (places or length + WRITTEN) - length))
        teacher, walk = whole_teacher(couple), SharedWalk(couple, prompts, remember=True)
        whole = torch.nn.functional.pad(prompts, (0, count - 1))
        context = couple.teacher.context(couple.teacher.embed(whole))
        first = _likely(couple, teacher, walk.last(teacher)[:, -1:])
        written = _continued(couple, teacher, walk.caches, context, first, count)
        return cls(couple, prompts, end, written)

    @torch.no_grad()
    def each(
        self, members: Sequence[Composition], tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Composition, Continuation]]:
        """What members write, and how far they agree with the teacher, one after another.

        Each reads the teacher's own text in one pass, whose beginning members share. What it
        writes itself goes on from that pass's keys and values at the end of the prompt.
        """
        length, count = self.prompts.shape[1], self.of_teacher.shape[1]
        known = torch.cat([self.prompts, self.of_teacher], dim=1)[:, :-1]
        walk, teacher = SharedWalk(self.couple, known, remember=True), whole_teacher(self.couple)
        for member in walk.arranged(members):
            tick()
            last = walk.last(member)
            said, own = self.of_teacher, self.of_teacher
            if member != teacher:
                said = _likely(self.couple, member, last[:, length - 1 :])
                caches = [_beginning(cache, count - 1) for cache in walk.caches]
                context = walk.context(member.embeddings)
                own = _continued(self.couple, member, caches, context, said[:, :1], count, tick)
            yield member, self._continuation(own, said)

    def _continuation(self, own: Tensor, said: Tensor) -> Continuation:
        texts = list(_until(own, self.end))
        return Continuation(
            repetition=sum(map(_repetition, texts)) / len(texts),
            empty=sum(not text for text in texts) / len(texts),
            agreement=float((said == self.of_teacher).float().mean()),
        )


def _continued(
    couple: Couple, composition: Composition, caches: Sequence[DynamicCache], context: Context,
    first: Tensor, count: int, tick: Callable[[], None] = lambda: None,
) -> Tensor:  # fmt: skip
    """The `count` most likely tokens, one at a time, from the `first` (P, 1) on: (P, count).

    `caches` have the keys and values of the prompts by block, and grow; `context` is that of a
    pass over prompts and continuations.
    """
    written = [first]
    length = context.positions.shape[1] - (count - 1)
    for place in range(length, length + count - 1):
        tick()
        here = context.at(place)
        hidden = couple.side(composition.embeddings).embed(written[-1], here.positions)
        for j, cache in enumerate(caches):
            hidden = couple.step(composition, j, hidden, replace(here, past=cache))
        written.append(_likely(couple, composition, hidden))
    return torch.cat(written, dim=1)


def _likely(couple: Couple, composition: Composition, hidden: Tensor) -> Tensor:
    normed = couple.side(composition.norm).norm(hidden)
    return couple.side(composition.head).head(normed).argmax(-1)


def _beginning(cache: DynamicCache, without: int) -> DynamicCache:
    """Keys and values `without` those of so many tokens at the end; the cache stays as it is."""
    part = copy(cache)
    part.layers = [copy(layer) for layer in cache.layers]
    part.crop(-without)
    return part


def _until(written: Tensor, end: int) -> Iterator[list[int]]:
    for row in written.tolist():
        yield row[: row.index(end)] if end in row else row


def _repetition(tokens: list[int]) -> float:
    runs = [tuple(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
