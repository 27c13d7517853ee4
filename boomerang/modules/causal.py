"""A causal language model whose pass is written out over its layers."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from boomerang.architecture.kinds import FULL, SLIDING
from boomerang.architecture.supported import ARCHITECTURES, Attention
from boomerang.errors import UnsupportedArchitecture
from boomerang.modules.accelerator import BLOCKS, Accelerator, device
from boomerang.modules.attention import Shape, block_mask, works

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


class Causal:
    """A causal language model as embeddings, layers, norm and head.

    Raises UnsupportedArchitecture for a model whose layers would not be right in this pass.
    """

    def __init__(self, model: Any) -> None:
        self.model: Any = model
        self.config: Any = model.config
        architecture = ARCHITECTURES[str(self.config.model_type)]
        self.base: Any = getattr(model, architecture.prefix.rstrip("."))
        names = [name.rstrip(".") for name in architecture.embeddings]
        self.tokens: nn.Module = getattr(self.base, names[0])
        self.places: nn.Module | None = getattr(self.base, names[1]) if names[1:] else None
        self.layers: nn.ModuleList = getattr(self.base, architecture.layers.rstrip("."))
        self.last_norm: nn.Module = getattr(self.base, architecture.norm.rstrip("."))
        self.kinds = _kinds(self.config, len(self.layers))
        self._past = "layer_past" if self.config.model_type == "gpt_neox" else "past_key_values"

    def attend(self, on: Accelerator, *, documents: bool) -> None:
        """Attend as suits a device, in passes that keep `documents` apart or do not.

        The way of transformers stays where the device's own does not work for this model.
        """
        own = self.config._attn_implementation
        way = on.attention(own, documents=documents, windows=SLIDING in self.kinds)
        if way != own and works(device(), Shape.of(self.model, on.compute)):
            self.model.set_attn_implementation(way)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        where: torch.device = self.model.device
        return where

    @property
    def ends(self) -> list[nn.Module]:
        """The modules outside the stack that have weights: embeddings, norm, head."""
        places = [] if self.places is None else [self.places]
        return [self.tokens, *places, self.last_norm, self.model.lm_head]

    @property
    def embeddings(self) -> list[nn.Module]:
        """The modules that embed tokens and positions."""
        return [self.tokens] if self.places is None else [self.tokens, self.places]

    @property
    def tied(self) -> bool:
        """Whether head and embeddings are one tensor."""
        return self.model.lm_head.weight is self.tokens.weight

    def embed(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Token ids (B, T) → hidden states before the first layer (B, T, width)."""
        hidden: Tensor = self.tokens(ids)
        if self.places is not None:
            hidden = hidden + self.places(_positions(hidden) if positions is None else positions)
        scale = getattr(self.config, "embedding_multiplier", None)
        return hidden if scale is None else hidden * scale

    def context(self, hidden: Tensor, positions: Tensor | None = None) -> Context:
        """Positions and masks for hidden states (B, T, width).

        Without `positions` (B, T) each row begins at 0 and is one text. With them a text begins
        wherever they do not go on by one, and sees nothing of the others.
        """
        rotary = getattr(self.base, "rotary_emb", None)
        told, positions = positions, _positions(hidden) if positions is None else positions
        rotated: dict[str, tuple[Tensor, Tensor] | None] = {}
        masks: dict[str, Any] = {}
        for kind in set(self.kinds):
            masks[kind] = self._mask(kind, hidden, told)
            # Where local and global attention rotate differently, one module does both.
            which = (kind,) if hasattr(rotary, "layer_types") else ()
            rotated[kind] = None if rotary is None else rotary(hidden, positions, *which)
        return Context(positions, rotated, masks)

    def _mask(self, kind: str, hidden: Tensor, told: Tensor | None) -> Any:
        if self.config._attn_implementation == BLOCKS:
            positions = _positions(hidden) if told is None else told
            window = self.config.sliding_window if kind == SLIDING else None
            return block_mask(positions.expand(len(hidden), -1), window)
        return MASKS[kind](
            config=self.config,
            inputs_embeds=hidden,
            position_ids=told,
            attention_mask=None,
            past_key_values=None,
        )

    def layer(self, index: int, hidden: Tensor, context: Context) -> Tensor:
        """Hidden states (B, T, width) through one layer."""
        rotary = context.rotary[self.kinds[index]]
        extra = {} if rotary is None else {"position_embeddings": rotary}
        if context.past is not None:
            extra[self._past] = context.past
        out: Tensor = self.layers[index](
            hidden,
            attention_mask=context.masks[self.kinds[index]],
            position_ids=context.positions,
            use_cache=context.past is not None,
            **extra,
        )
        return out

    def norm(self, hidden: Tensor) -> Tensor:
        """The final norm: (B, T, width) → (B, T, width)."""
        out: Tensor = self.last_norm(hidden)
        return out

    def head(self, hidden: Tensor) -> Tensor:
        """Normed hidden states (…, width) → logits (…, vocabulary)."""
        logits: Tensor = self.model.lm_head(hidden)
        divisor = getattr(self.config, "logits_scaling", None)
        factor = getattr(self.config, "logit_scale", None)
        cap = getattr(self.config, "final_logit_softcapping", None)
        if divisor is not None:
            logits = logits / divisor
        if factor is not None:
            logits = logits * factor
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @property
    def projection(self) -> tuple[Tensor, float] | None:
        """A weight (vocabulary, width) and a factor, where head(h) is factor · h @ weightᵀ.

        None where the head does more, or where its weight is sharded.
        """
        module = self.model.lm_head
        capped = getattr(self.config, "final_logit_softcapping", None) is not None
        if type(module) is not nn.Linear or module.bias is not None or capped:
            return None
        # A sharded weight is gathered by the module's own forward pass alone.
        if type(module.weight) is not nn.Parameter:
            return None
        divisor = getattr(self.config, "logits_scaling", None) or 1.0
        return module.weight, (getattr(self.config, "logit_scale", None) or 1.0) / divisor


def _positions(hidden: Tensor) -> Tensor:
    return torch.arange(hidden.shape[1], device=hidden.device)[None]


def _kinds(config: Any, depth: int) -> list[str]:
    told = ARCHITECTURES[str(config.model_type)].attention
    if told is Attention.WINDOW:
        slides = getattr(config, "sliding_window", None) is not None
        return [SLIDING if slides else FULL] * depth
    kinds = list(config.layer_types) if told is Attention.LISTED else [FULL] * depth
    if len(kinds) != depth or not set(kinds) <= {FULL, SLIDING}:
        raise UnsupportedArchitecture(
            f"The kinds of layers {sorted(set(kinds))} are not supported.",
            value=kinds,
            fix=f"Supported: {FULL} and {SLIDING}.",
        )
    return kinds
