"""What the layers of one pass share: positions, rotary pairs, masks."""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from transformers import Cache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from boomerang.architecture.kinds import FULL, SLIDING

MASKS = {FULL: create_causal_mask, SLIDING: create_sliding_window_causal_mask}


@dataclass(frozen=True)
class Context:
    """What the layers of a pass need: positions (1 or B, T), rotary pair and mask by attention.

    A mask is a tensor, None where only what comes later is hidden, or one of blocks.
    Keys and values of earlier passes are in `past`, which keeps those of this one too.
    """

    positions: Tensor
    rotary: dict[str, tuple[Tensor, Tensor] | None]
    masks: dict[str, Any]
    past: Cache | None = None

    def at(self, place: int) -> "Context":
        """That of the one token at a place, where `past` has all before it; no mask of blocks."""
        here = slice(place, place + 1)
        return replace(
            self,
            positions=self.positions[:, here],
            rotary={
                kind: None if pair is None else (pair[0][:, here], pair[1][:, here])
                for kind, pair in self.rotary.items()
            },
            masks={
                kind: None if mask is None else mask[..., here, : place + 1]
                for kind, mask in self.masks.items()
            },
        )
