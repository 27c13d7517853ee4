"""Packed sequences: every document after an end-of-text token, one stream, cut in windows."""

import json
import os
from collections.abc import Callable, Iterator
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

from boomerang.distill.chat import Chat
from boomerang.distill.conversations import Conversation, Document, Kind
from boomerang.distill.marks import marked
from boomerang.distill.recipe import LossOn
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

    def batch(self, seed: int, step: int, sequences: int, steps: int | None = None) -> Tensor:
        """The sequences of one training step: (sequences, length + 1) token ids, int64.

        Each epoch goes once through the stream, in an order and from an offset that depend on
        seed and epoch alone; the stream is a ring, so that the offset loses nothing. `steps`,
        of which a mixture of streams makes something, changes nothing here.
        """
        rows = self.rows(seed, step * sequences, sequences)
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def rows(self, seed: int, first: int, count: int) -> list[NDArray[np.int32]]:
        """So many sequences in a row of a run, (length + 1,) each, from the one of a number on."""
        return [self._window(seed, first + i) for i in range(count)]

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


@lru_cache(maxsize=4)
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
        self.chat = Chat(self.tokenizer, folder.name)

    def encode(
        self,
        texts: Texts,
        split: Split,
        *,
        kind: Kind | None = None,
        loss_on: LossOn | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> NDArray[np.int32]:
        """A split as one stream, each document after an end-of-text token: (tokens,).

        Of one `kind` alone where that is given. With `loss_on`, tokens of conversations are marked
        (`marks.py`), as training wants them; without, every token is only itself. Raises
        BadRecipe for conversations that the teacher's chat template cannot render.
        """
        documents = iter(texts.documents(split, kind))
        chunks: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        while batch := list(islice(documents, _AT_ONCE)):
            tick()
            flat = [token for ids in self._encoded(batch, loss_on) for token in ids]
            chunks.append(np.array(flat, np.int32))
        return np.concatenate(chunks)

    def _encoded(self, batch: list[Document], loss_on: LossOn | None) -> Iterator[list[int]]:
        """The tokens of documents, each with the token before it."""
        talks = {at: d for at, d in enumerate(batch) if isinstance(d, Conversation)}
        partial = bool(talks) and loss_on == "completions"
        texts = [d if isinstance(d, str) else self.chat.render(d) for d in batch]
        encoded = self.tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False,
            return_offsets_mapping=partial,
        )  # fmt: skip
        for at, ids in enumerate(encoded["input_ids"]):
            self._check(ids)
            before = self.end
            if loss_on is not None and at in talks:
                counted = None
                if partial:
                    answers = self.chat.answers(talks[at], texts[at])
                    counted = self.chat.counted(ids, encoded["offset_mapping"][at], answers)
                    before = ~self.end
                ids = marked(ids, self.end, counted)
            yield [before, *ids]

    def _check(self, ids: list[int]) -> None:
        if ids and not 0 <= min(ids) <= max(ids) < self.vocabulary:
            raise CorruptCheckpoint(
                f"The tokenizer gives token {max(ids)}, the model's vocabulary has "
                f"{self.vocabulary}.",
                value=max(ids),
                fix="Use the tokenizer that belongs to the model.",
            )


def cached_stream(
    tokeniser: Tokeniser,
    texts: Texts,
    split: Split,
    length: int,
    run: Path,
    tick: Callable[[], None] = lambda: None,
    *,
    kind: Kind | None = None,
    loss_on: LossOn = "all",
) -> Stream:
    """The stream of a split, tokenised once for each run folder and then read from it."""
    name = split if kind is None else f"{split}-{kind}"
    file, made_of = run / f"{name}.npy", run / f"{name}.json"
    wanted = {"data": texts.digest, "end": tokeniser.end, "vocabulary": tokeniser.vocabulary}
    if loss_on != "all":
        wanted["loss_on"] = loss_on
    if not (file.exists() and made_of.exists() and json.loads(made_of.read_text()) == wanted):
        made_of.unlink(missing_ok=True)
        partial = run / f".{name}.partial.npy"
        tokens = tokeniser.encode(texts, split, kind=kind, loss_on=loss_on, tick=tick)
        np.save(partial, tokens, allow_pickle=False)
        os.replace(partial, file)
        partial = run / f".{name}.partial.json"
        partial.write_text(json.dumps(wanted))
        os.replace(partial, made_of)
    stored = np.load(file, mmap_mode="r", allow_pickle=False)
    return Stream(stored, length, name, tokeniser.end)
