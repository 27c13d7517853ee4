"""Sequences to train on: windows of one stream of tokens, in an order that a seed decides."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from boomerang.errors import BadRecipe
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser

BLOCK = 1 << 14
"""Windows that are shuffled among themselves. An epoch takes block after block, so that training
can begin before the end of the text is known."""


class TooShort(BadRecipe):
    """A text of fewer tokens than one sequence has."""


class Windows(ABC):
    """Where the sequences of a run come from: one stream, or a mixture of several.

    `length` is the tokens of a sequence, `end` the token that begins each document: what the
    tokenizer puts first, or else the end of text before it.
    """

    length: int
    end: int | None

    @abstractmethod
    def batch(self, seed: int, step: int, sequences: int, steps: int) -> Tensor:
        """The sequences of one training step of `steps`: (sequences, length + 1), int64."""

    @abstractmethod
    def ready(self, step: int, sequences: int, steps: int) -> bool:
        """Whether `batch` has the sequences of a step without waiting for them."""

    @abstractmethod
    def close(self) -> None:
        """To be called by who needs no more of them."""

    def positions(self, ids: Tensor) -> Tensor | None:
        """How far each token of (B, T) is from where its document begins; None without `end`."""
        if self.end is None:
            return None
        at = torch.arange(ids.shape[-1], device=ids.device)
        return at - torch.where(ids == self.end, at, 0).cummax(-1).values


class Numbered(Windows):
    """Sequences of one split, each of which has a number in the run."""

    @abstractmethod
    def rows(self, seed: int, first: int, count: int) -> list[NDArray[np.int32]]:
        """So many sequences in a row of a run, (length + 1,) each, from the one of a number on."""

    @abstractmethod
    def has(self, number: int) -> bool:
        """Whether `rows` has the sequence of a number without waiting for it."""

    def batch(self, seed: int, step: int, sequences: int, steps: int = 0) -> Tensor:
        """As that of Windows; the number of steps changes nothing here."""
        rows = self.rows(seed, step * sequences, sequences)
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def ready(self, step: int, sequences: int, steps: int) -> bool:
        """As that of Windows."""
        return self.has((step + 1) * sequences - 1)


@dataclass(frozen=True)
class Stream(Numbered):
    """All the tokens of one split; `windows` is how many sequences of `length` one epoch gives.

    Each epoch goes once through the stream, in an order and from an offset that depend on seed
    and epoch alone; the stream is a ring, so that the offset loses nothing. Every sequence begins
    with the tokens `begins`, in place of what stands there: a model that was only ever trained
    with them computes something else without. Raises TooShort where there is not even one
    sequence.
    """

    tokens: NDArray[np.int32]
    length: int
    name: str = "text"
    end: int | None = None
    begins: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.tokens) <= self.length:
            raise TooShort(
                f"The {self.name} split has {len(self.tokens)} tokens, fewer than one sequence of "
                f"{self.length} and its next token.",
                value=len(self.tokens),
                fix="Give more text, or a recipe with a shorter sequence_length.",
            )

    @property
    def windows(self) -> int:
        """Sequences in one epoch."""
        return (len(self.tokens) - 1) // self.length

    def rows(self, seed: int, first: int, count: int) -> list[NDArray[np.int32]]:
        """As those of Numbered."""
        return [self._begun(self._window(seed, first + i)) for i in range(count)]

    def has(self, number: int) -> bool:
        """Always: what is behind its end is another epoch."""
        return True

    def close(self) -> None:
        """There is nothing to do."""

    def _window(self, seed: int, number: int) -> NDArray[np.int32]:
        epoch, at = divmod(number, self.windows)
        begins = at - at % BLOCK
        _, offset = _block(seed, epoch, 0, min(BLOCK, self.windows), self.length)
        order, _ = _block(seed, epoch, begins, min(BLOCK, self.windows - begins), self.length)
        start = offset + (begins + int(order[at - begins])) * self.length
        if start + self.length < len(self.tokens):
            return self.tokens[start : start + self.length + 1]
        places = np.arange(start, start + self.length + 1)
        return self.tokens.take(places, mode="wrap")

    def _begun(self, window: NDArray[np.int32]) -> NDArray[np.int32]:
        count = len(self.begins)
        ahead = window[: count + 1]
        bare = np.where(ahead < 0, ~ahead, ahead).tolist()
        # The first is nobody's label; of one that begins a document there are no two.
        if not count or list(self.begins) in (bare[:count], bare[1:]):
            return window
        begun = window.copy()
        begun[:count] = self.begins
        if self.end is not None:
            begun[1:count] = ~begun[1:count]
        return begun

    def head(self, tokens: int) -> Tensor:
        """The first windows, about `tokens` tokens of them, in order: (W, length + 1), int64."""
        count = min(self.windows, max(1, tokens // self.length))
        parts = (self.tokens[i * self.length : (i + 1) * self.length + 1] for i in range(count))
        rows = [self._begun(part) for part in parts]
        return torch.from_numpy(np.stack(rows).astype(np.int64))


def tokens_for(sequences: int, length: int) -> int:
    """Tokens of which the first epoch has so many sequences, however many tokens follow them."""
    return -(-sequences // BLOCK) * BLOCK * length + length + 1


def length_for(config: Mapping[str, Any], wanted: int) -> int:
    """Tokens of a sequence: as many as are wanted, or a model's context where that is shorter."""
    context = config.get("max_position_embeddings") or config.get("n_positions")
    return min(wanted, context) if isinstance(context, int) else wanted


@lru_cache(maxsize=4)
def _block(
    seed: int, epoch: int, begins: int, count: int, length: int
) -> tuple[NDArray[np.int64], int]:
    """The order of a block's windows; of the first one's, also the token at which it begins."""
    generator = np.random.default_rng([seed, epoch, begins])
    return generator.permutation(count), int(generator.integers(length))


def first_windows(
    tokeniser: Tokeniser, texts: Texts, split: Split, tokens: int, length: int,
    tick: Callable[[], None] = lambda: None,
) -> Tensor:  # fmt: skip
    """About `tokens` tokens of a split from its beginning on: (W, length + 1), int64.

    `tick` is called now and then. Raises TooShort where there is not even one window, and as
    `Tokeniser.encode`.
    """
    # Windows begin one where the other ends, and the last one's last token is only predicted.
    most = max(1, tokens // length) * length + 1
    encoded = tokeniser.encode(texts, split, tick=tick, most=most)
    return Stream(encoded, length, split, begins=tokeniser.begins).head(tokens)
