"""Packed text: documents with an end-of-text token between them, all of them one stream of tokens.

Each begins with what the teacher's own tokenizer puts before a text. Where that is nothing, the
end-of-text token before it is taken for its beginning.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer

from boomerang.errors import BadRecipe, CorruptCheckpoint
from boomerang.recipes.recipe import LossOn
from boomerang.texts.chat import Chat
from boomerang.texts.conversations import Conversation, Document
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.loss_mask import with_loss_mask

_AT_ONCE = 256
"""Documents tokenised together."""
_PROBE = "a"
"""A text that shows what a tokenizer puts before one."""


class Tokeniser:
    """The teacher's own tokenizer, from its folder alone.

    Raises CorruptCheckpoint where there is none that loads, BadRecipe where it has no token that
    ends a text.
    """

    def __init__(self, folder: Path, vocabulary: int) -> None:
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(  # a folder  # nosec B615
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError) as error:
            raise CorruptCheckpoint(
                f"The tokenizer of {folder.name!r} does not load: {str(error).splitlines()[0]}",
                value=folder.name,
                fix="Put the tokenizer's files beside the model.",
            ) from None
        self.folder, self.vocabulary = folder, vocabulary
        ends = (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id)
        end = next((token for token in ends if token is not None), None)
        if end is None:
            raise BadRecipe(
                f"The tokenizer of {folder.name!r} has no end-of-text token.",
                value=folder.name,
                fix="Name one as eos_token in its tokenizer_config.json.",
            )
        self.end = int(end)
        self.begins = _begins(self.tokenizer)
        check_tokens(self.begins, vocabulary)
        self.chat = Chat(self.tokenizer, folder.name)

    @property
    def first(self) -> int:
        """The token that each document of a stream begins with."""
        return self.begins[0] if self.begins else self.end

    def encode(
        self, texts: Texts, split: Split, *, loss_on: LossOn | None = None,
        tick: Callable[[], None] = lambda: None, most: int | None = None,
    ) -> NDArray[np.int32]:  # fmt: skip
        """A split as one stream of documents, an end-of-text token between them: (tokens,).

        No more than `most` tokens; the text behind them is not read. With `loss_on`, tokens of
        conversations are marked (`loss_mask.py`), as training wants them; without, every token is
        only itself. Raises BadRecipe for conversations that the chat template cannot render.
        """
        chunks: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        found = 0
        for _, tokens in self.batches(texts.documents(split), loss_on):
            tick()
            chunks.append(tokens)
            found += len(tokens)
            if most is not None and found >= most:
                break
        return np.concatenate(chunks)[:most]

    def batches(
        self, documents: Iterable[Document], loss_on: LossOn | None
    ) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """The stream in parts: how many documents each is of, and its tokens. As `encode`."""
        left = iter(documents)
        while batch := list(islice(left, _AT_ONCE)):
            flat = [token for ids in self._encoded(batch, loss_on) for token in ids]
            yield len(batch), np.array(flat, np.int32)

    def _encoded(self, batch: list[Document], loss_on: LossOn | None) -> Iterator[list[int]]:
        """The tokens of documents, each with those that begin it and part it from others."""
        talks = {at: d for at, d in enumerate(batch) if isinstance(d, Conversation)}
        partial = bool(talks) and loss_on == "completions"
        texts = [d if isinstance(d, str) else self.chat.render(d) for d in batch]
        encoded = self.tokenizer(
            texts, add_special_tokens=False, return_attention_mask=False, verbose=False,
            return_offsets_mapping=partial,
        )  # fmt: skip
        for at, ids in enumerate(encoded["input_ids"]):
            check_tokens(ids, self.vocabulary)
            between = self.end
            # A chat template may have written the beginning already.
            bare = len(self.begins) if (*ids[: len(self.begins)],) == self.begins else 0
            if loss_on is not None and at in talks:
                counted = None
                if partial:
                    answers = self.chat.answers(talks[at], texts[at])
                    counted = self.chat.counted(ids, encoded["offset_mapping"][at], answers)[bare:]
                    between = ~self.end
                yield self._whole(
                    with_loss_mask(ids[bare:], self.first, counted), between, masked=True
                )
            else:
                yield self._whole(ids[bare:], between, masked=loss_on is not None)

    def _whole(self, ids: list[int], between: int, *, masked: bool) -> list[int]:
        """A document in the stream: what begins it is never predicted, it follows from nothing."""
        if self.first == self.end:
            return [between, *self.begins[1:], *ids]
        begins = [~token for token in self.begins] if masked else self.begins
        return [*begins, *ids, between]


def check_tokens(ids: Sequence[int], vocabulary: int) -> None:
    """Raise CorruptCheckpoint for tokens outside a vocabulary of so many."""
    if ids and not 0 <= min(ids) <= max(ids) < vocabulary:
        raise CorruptCheckpoint(
            f"The tokenizer gives token {max(ids)}, the model's vocabulary has {vocabulary}.",
            value=max(ids),
            fix="Use the tokenizer that belongs to the model.",
        )


def _begins(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens that a tokenizer puts before a text."""
    alone, whole = (tokenizer.encode(_PROBE, add_special_tokens=added) for added in (False, True))
    places = range(len(whole) - len(alone) + 1)
    at = next((i for i in places if whole[i : i + len(alone)] == alone), 0)
    return tuple(map(int, whole[:at]))
