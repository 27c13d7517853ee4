"""What a member writes when it is let go: collapse shows here, and in no classification task.

Every member continues the same beginnings of held-out text, or answers in the same conversations,
greedily, with the modules it shares with the others (no copy of a model is made), and with keys
and values kept from token to token.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor
from transformers import DynamicCache

from boomerang.family.composition import Composition
from boomerang.modules.causal import Context
from boomerang.modules.couple import Couple
from boomerang.quality.walk import SharedWalk, whole_teacher
from boomerang.tokens.chats import Chats

PROMPTS = 8
PROMPT = 32
"""Tokens of a beginning."""
WRITTEN = 32
"""Tokens that are written after it."""
ASKED = 256
"""Tokens of a conversation up to the assistant's turn, at most."""
ANSWERED = 96
"""Tokens of a turn, at most."""
RUN = 4
"""Tokens of a run that counts as said before."""


@dataclass(frozen=True)
class Continuation:
    """What was written after the beginnings, each a share from 0 to 1.

    `repetition`: runs of RUN tokens that stood in the same continuation before; `empty`:
    beginnings after which the text ends at once; `agreement`: tokens of the teacher's own
    continuation that the member would have written too, at each place. `stopped`, of
    conversations alone: turns that it ended within ANSWERED tokens.
    """

    repetition: float
    empty: float
    agreement: float
    stopped: float | None = None

    def json(self) -> dict[str, float]:
        """Those shares that there are, by name."""
        return {name: round(v, 4) for name, v in asdict(self).items() if v is not None}


@dataclass(frozen=True)
class Writer:
    """Lets members of a couple continue `prompts` (P, length); `ends` are tokens that end a text.

    In conversations (`turns`) prompts are of different lengths: `positions` (P, length + written)
    begin anew after the padding before each, which is thereby a text by itself.
    """

    couple: Couple
    prompts: Tensor
    ends: frozenset[int]
    of_teacher: Tensor
    positions: Tensor | None = None
    turns: bool = False

    @classmethod
    def over(cls, couple: Couple, windows: Tensor, end: int) -> "Writer":
        """A writer over the beginnings of held-out windows (W, T + 1), spread over all of them."""
        every = max(1, len(windows) // PROMPTS)
        length = min(PROMPT, max(1, windows.shape[1] // 2))
        prompts = windows[::every][:PROMPTS, :length]
        return cls._begun(couple, prompts, frozenset({end}), None, WRITTEN, turns=False)

    @classmethod
    def answering(cls, couple: Couple, chats: Chats) -> "Writer":
        """A writer of the assistant's turns that conversations have come to."""
        length = max(map(len, chats.prompts))
        missing = torch.tensor([[length - len(prompt)] for prompt in chats.prompts])
        rows = [[0] * (length - len(prompt)) + [*prompt] for prompt in chats.prompts]
        at = torch.arange(length + ANSWERED).expand(len(rows), -1)
        positions = torch.where(at < missing, at, at - missing)
        return cls._begun(couple, torch.tensor(rows), chats.ends, positions, ANSWERED, turns=True)

    @classmethod
    @torch.no_grad()
    def _begun(
        cls, couple: Couple, prompts: Tensor, ends: frozenset[int], positions: Tensor | None,
        most: int, *, turns: bool,
    ) -> "Writer":  # fmt: skip
        """With what the teacher writes, of `most` tokens at most."""
        where, length = couple.teacher.device, prompts.shape[1]
        prompts = prompts.to(where)
        positions = None if positions is None else positions.to(where)
        count = max(1, min(most, places_of(couple, length + most) - length))
        teacher = whole_teacher(couple)
        of_prompts = None if positions is None else positions[:, :length]
        walk = SharedWalk(couple, prompts, remember=True, positions=of_prompts)
        whole = torch.nn.functional.pad(prompts, (0, count - 1))
        told = None if positions is None else positions[:, : length + count - 1]
        context = couple.teacher.context(couple.teacher.embed(whole, told), told)
        first = _likely(couple, teacher, walk.last(teacher)[:, -1:])
        until = ends if turns else frozenset[int]()
        written = _continued(couple, teacher, walk.caches, context, first, count, until)
        return cls(couple, prompts, ends, written, told, turns)

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
        walk = SharedWalk(self.couple, known, remember=True, positions=self.positions)
        teacher, until = whole_teacher(self.couple), self.ends if self.turns else frozenset[int]()
        for member in walk.arranged(members):
            tick()
            last = walk.last(member)
            said, own = self.of_teacher, self.of_teacher
            if member != teacher:
                said = _likely(self.couple, member, last[:, length - 1 :])
                caches = [_beginning(cache, count - 1) for cache in walk.caches]
                context = walk.context(member.embeddings)
                begun = (self.couple, member, caches, context, said[:, :1], count)
                own = _continued(*begun, until, tick)
            yield member, self._continuation(own, said)

    def _continuation(self, own: Tensor, said: Tensor) -> Continuation:
        texts = list(_until(own, self.ends))
        agreed = said == self.of_teacher
        if self.turns:
            # What the teacher would write behind its own turn is nobody's answer.
            agreed = agreed[~_behind(self.of_teacher, self.ends)]
        return Continuation(
            repetition=sum(map(_repetition, texts)) / len(texts),
            empty=sum(not text for text in texts) / len(texts),
            agreement=float(agreed.float().mean()),
            stopped=float(_ended(own, self.ends).float().mean()) if self.turns else None,
        )


def places_of(couple: Couple, otherwise: int) -> int:
    """How many tokens the teacher may see at once, or so many where it does not say."""
    return int(getattr(couple.teacher.config, "max_position_embeddings", None) or otherwise)


def _continued(
    couple: Couple, composition: Composition, caches: Sequence[DynamicCache], context: Context,
    first: Tensor, count: int, until: frozenset[int], tick: Callable[[], None] = lambda: None,
) -> Tensor:  # fmt: skip
    """The `count` most likely tokens, one at a time, from the `first` (P, 1) on: (P, count).

    `caches` have the keys and values of the prompts by block, and grow; `context` is that of a
    pass over prompts and continuations. When each row has a token of `until`, the rest is such.
    """
    written = [first]
    length = context.positions.shape[1] - (count - 1)
    for place in range(length, length + count - 1):
        tick()
        if until and bool(_ended(torch.cat(written, dim=1), until).all()):
            rest = count - len(written)
            written.append(first.new_full((len(first), rest), min(until)))
            break
        here = context.at(place)
        hidden = couple.side(composition.embeddings).embed(written[-1], here.positions)
        for j, cache in enumerate(caches):
            hidden = couple.step(composition, j, hidden, replace(here, past=cache))
        written.append(_likely(couple, composition, hidden))
    return torch.cat(written, dim=1)


def _likely(couple: Couple, composition: Composition, hidden: Tensor) -> Tensor:
    """The most likely tokens (P, T) after hidden states (P, T, width)."""
    normed, head = couple.side(composition.norm).norm(hidden), couple.side(composition.head).head
    if hidden.shape[1] == 1:
        return head(normed).argmax(-1)
    # Logits of one row at a time: those of all may be more than the model.
    return torch.cat([head(row).argmax(-1) for row in normed.split(1)])  # type: ignore[no-untyped-call]


def _beginning(cache: DynamicCache, without: int) -> DynamicCache:
    """Keys and values `without` those of so many tokens at the end; the cache stays as it is."""
    part = copy(cache)
    part.layers = [copy(layer) for layer in cache.layers]
    part.crop(-without)
    return part


def _is_end(written: Tensor, ends: frozenset[int]) -> Tensor:
    return torch.isin(written, torch.tensor(sorted(ends), device=written.device))


def _ended(written: Tensor, ends: frozenset[int]) -> Tensor:
    """Which rows of tokens (P, count) have an end: (P,)."""
    return _is_end(written, ends).any(-1)


def _behind(written: Tensor, ends: frozenset[int]) -> Tensor:
    """Which tokens (P, count) stand behind the first end of their row."""
    seen = _is_end(written, ends).long()
    return seen.cumsum(-1) - seen > 0


def _until(written: Tensor, ends: frozenset[int]) -> Iterator[list[int]]:
    for row in written.tolist():
        yield row[: next((at for at, token in enumerate(row) if token in ends), len(row))]


def _repetition(tokens: list[int]) -> float:
    runs = [tuple(tokens[i : i + RUN]) for i in range(len(tokens) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0
