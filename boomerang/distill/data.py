"""Packed sequences: every document after an end-of-text token, one stream, cut in windows."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from boomerang.distill.texts import Split, Texts
from boomerang.errors import BadRecipe, CorruptCheckpoint

_AT_ONCE = 256
"""Documents tokenised together."""


@dataclass(frozen=True)
class Stream:
    """The tokens of one split; `windows` is how many sequences of `length` one epoch gives.

    `end` is the token before each document. Raises BadRecipe where there is not even one.
    """

    tokens: NDArray[np.int32]
    length: int
    name: str = "text"
    end: int | None = None

    def __post_init__(self) -> None:
        if len(self.tokens) <= self.length:
            raise BadRecipe(
                f"The {self.name} split has {len(self.tokens)} tokens, fewer than one sequence of "
                f"{self.length} and its next token.",
                value=len(self.tokens),
                fix="Give more text, or a recipe with a shorter sequence_length.",
            )

    @property
    def windows(self) -> int:
        """Sequences in one epoch."""
        return (len(self.tokens) - 1) // self.length

    def batch(self, seed: int, step: int, sequences: int) -> Tensor:
        """The sequences of one training step: (sequences, length + 1) token ids, int64.

        Each epoch goes once through the stream, in an order and from an offset that depend on
        seed and epoch alone; the stream is a ring, so that the offset loses nothing.
        """
        rows = [self._window(seed, step * sequences + i) for i in range(sequences)]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def _window(self, seed: int, number: int) -> NDArray[np.int32]:
        epoch, at = divmod(number, self.windows)
        order, offset = _epoch(seed, epoch, self.windows, self.length)
        start = offset + int(order[at]) * self.length
        if start + self.length < len(self.tokens):
            return self.tokens[start : start + self.length + 1]
        places = np.arange(start, start + self.length + 1)
        return self.tokens.take(places, mode="wrap")

    def positions(self, ids: Tensor) -> Tensor | None:
        """How far each token of (B, T) is from where its document begins; None without `end`."""
        if self.end is None:
            return None
        at = torch.arange(ids.shape[-1], device=ids.device)
        return at - torch.where(ids == self.end, at, 0).cummax(-1).values

    def head(self, tokens: int) -> Tensor:
        """The first windows, about `tokens` tokens of them, in order: (W, length + 1), int64."""
        count = min(self.windows, max(1, tokens // self.length))
        rows = [self.tokens[i * self.length : (i + 1) * self.length + 1] for i in range(count)]
        return torch.from_numpy(np.stack(rows).astype(np.int64))


@lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, windows: int, length: int) -> tuple[NDArray[np.int64], int]:
    """The order of the windows in an epoch, and the token at which the first one begins."""
    generator = np.random.default_rng([seed, epoch])
    return generator.permutation(windows), int(generator.integers(length))


class Tokeniser:
    """The teacher's own tokenizer, from its folder alone.

    Raises CorruptCheckpoint where there is none that loads, BadRecipe where it has no token that
    ends a text.
    """

    def __init__(self, folder: Path, vocabulary: int) -> None:
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise CorruptCheckpoint(
                f"The tokenizer of {folder.name!r} does not load: {str(error).splitlines()[0]}",
                value=folder.name,
                fix="Put the tokenizer's files beside the model.",
            ) from None
        self.vocabulary = vocabulary
        ends = (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id)
        end = next((token for token in ends if token is not None), None)
        if end is None:
            raise BadRecipe(
                f"The tokenizer of {folder.name!r} has no end-of-text token.",
                value=folder.name,
                fix="Name one as eos_token in its tokenizer_config.json.",
            )
        self.end = int(end)

    def encode(
        self, texts: Texts, split: Split, *, tick: Callable[[], None] = lambda: None
    ) -> NDArray[np.int32]:
        """A split as one stream, each document after an end-of-text token: (tokens,)."""
        documents = iter(texts.documents(split))
        chunks: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        while batch := list(islice(documents, _AT_ONCE)):
            tick()
            encoded = self.tokenizer(
                batch, add_special_tokens=False, return_attention_mask=False, verbose=False
            )["input_ids"]
            flat = [token for ids in encoded for token in (self.end, *ids)]
            chunks.append(np.array(flat, np.int32))
        tokens = np.concatenate(chunks)
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < self.vocabulary:
            raise CorruptCheckpoint(
                f"The tokenizer gives token {int(tokens.max())}, the model's vocabulary has "
                f"{self.vocabulary}.",
                value=int(tokens.max()),
                fix="Use the tokenizer that belongs to the model.",
            )
        return tokens


def cached_stream(
    tokeniser: Tokeniser,
    texts: Texts,
    split: Split,
    length: int,
    run: Path,
    tick: Callable[[], None] = lambda: None,
) -> Stream:
    """The stream of a split, tokenised once for each run folder and then read from it."""
    file, made_of = run / f"{split}.npy", run / f"{split}.json"
    wanted = {"data": texts.digest, "end": tokeniser.end, "vocabulary": tokeniser.vocabulary}
    if not (file.exists() and made_of.exists() and json.loads(made_of.read_text()) == wanted):
        made_of.unlink(missing_ok=True)
        partial = run / f".{split}.partial.npy"
        np.save(partial, tokeniser.encode(texts, split, tick=tick), allow_pickle=False)
        os.replace(partial, file)
        partial = run / f".{split}.partial.json"
        partial.write_text(json.dumps(wanted))
        os.replace(partial, made_of)
    tokens = np.load(file, mmap_mode="r", allow_pickle=False)
    return Stream(tokens, length, split, tokeniser.end)
