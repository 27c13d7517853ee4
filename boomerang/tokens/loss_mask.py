"""What a stored token says beside which one it is, and how a batch of such tokens is read.

A token that is not to be predicted, such as what a user asks, is stored as `~token`, which is
negative. A token that ends a text *within* a document (in many chat templates every turn ends with
it) is stored as WITHIN, so that it begins no document. Plain text has neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WITHIN = 1 << 30
"""More than any vocabulary has tokens."""


def with_loss_mask(ids: Sequence[int], end: int, counted: Sequence[bool] | None) -> list[int]:
    """The tokens of one document as they are stored; without `counted` all are predicted."""
    stored = [WITHIN if token == end else token for token in ids]
    if counted is None:
        return stored
    return [token if counts else ~token for token, counts in zip(stored, counted, strict=True)]


def label_count(ids: Tensor) -> int:
    """How many tokens of sequences (B, T + 1) as they are stored are to be predicted."""
    return int((ids[:, 1:] >= 0).sum())


def loss_share(part: Tensor, whole: int) -> float:
    """The share that some sequences have in a mean over `whole` predicted tokens."""
    return label_count(part) / whole if whole else 1.0


@dataclass(frozen=True)
class Sequences:
    """A batch as a model takes it: `inputs` and the next tokens, `labels`, both (B, T).

    `rows` are the places, among the B·T, whose next token is to be predicted, None where all are;
    `bare` are the inputs with every end of text that begins no document still hidden.
    """

    inputs: Tensor
    labels: Tensor
    bare: Tensor
    rows: Tensor | None = None

    @classmethod
    def read(cls, ids: Tensor, end: int | None, where: torch.device) -> "Sequences":
        """From sequences (B, T + 1) as they are stored, on the CPU."""
        negative = bool((ids < 0).any())
        rows = (ids[:, 1:] >= 0).flatten().nonzero().squeeze(-1) if negative else None
        bare = torch.where(ids < 0, ~ids, ids) if negative else ids
        tokens = bare if end is None else torch.where(bare == WITHIN, end, bare)
        if rows is not None:
            rows = rows.to(where, non_blocking=True)
        bare, tokens = (t.to(where, non_blocking=True) for t in (bare, tokens))
        return cls(tokens[:, :-1], tokens[:, 1:], bare[:, :-1], rows)
