"""What a member writes when it is let go: collapse shows here, and in no classification task.

Every member continues the same beginnings of held-out text, greedily, with the modules it shares
with the others (no copy of a model is made).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from boomerang.composition import Composition
from boomerang.quality.measure import whole_teacher
from boomerang.quality.models import Couple

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
    def over(cls, couple: Couple, windows: Tensor, end: int) -> "Writer":
        """A writer over the beginnings of held-out windows (W, T + 1), spread over all of them."""
        every = max(1, len(windows) // PROMPTS)
        length = min(PROMPT, max(1, windows.shape[1] // 2))
        prompts = windows[::every][:PROMPTS, :length].to(couple.teacher.device)
        context = getattr(couple.teacher.config, "max_position_embeddings", None)
        written = min(WRITTEN, (context or length + WRITTEN) - length)
        teacher = whole_teacher(couple)
        return cls(couple, prompts, end, _continue(couple, teacher, prompts, written))

    @torch.no_grad()
    def check(
        self, composition: Composition, tick: Callable[[], None] = lambda: None
    ) -> Continuation:
        """What a member writes, and how far it agrees with the teacher."""
        count = self.of_teacher.shape[1]
        if composition == whole_teacher(self.couple):
            own = self.of_teacher
            agreement = 1.0
        else:
            own = _continue(self.couple, composition, self.prompts, count, tick)
            agreement = self._agreement(composition)
        texts = list(_until(own, self.end))
        return Continuation(
            repetition=sum(map(_repetition, texts)) / len(texts),
            empty=sum(not text for text in texts) / len(texts),
            agreement=agreement,
        )

    def _agreement(self, composition: Composition) -> float:
        known = torch.cat([self.prompts, self.of_teacher], dim=1)[:, :-1]
        said = self.couple.logits(composition, known)[:, self.prompts.shape[1] - 1 :].argmax(-1)
        return float((said == self.of_teacher).float().mean())


@torch.no_grad()
def _continue(
    couple: Couple,
    composition: Composition,
    prompts: Tensor,
    count: int,
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """The `count` most likely tokens after prompts (P, length), one at a time: (P, count)."""
    ids = prompts
    for _ in range(count):
        tick()
        final = couple.trace(composition, ids).final[:, -1:]
        likely = couple.side(composition.head).head(final).argmax(-1)
        ids = torch.cat([ids, likely], dim=1)
    return ids[:, prompts.shape[1] :]


def _until(written: Tensor, end: int) -> Iterator[list[int]]:
    """Each continuation up to its end-of-text token."""
    for row in written.tolist():
        yield row[: row.index(end)] if end in row else row


def _repetition(tokens: list[int]) -> float:
    runs = [tuple(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
