"""Attention within documents and windows by blocks of places: flex attention of torch.

A mask (B, 1, T, T) keeps torch's fused attention from its fast kernels, and architectures with soft
caps or sinks store a score for every pair of places besides. Here a mask says which blocks of 128
places see which, and only those are computed; nothing of the size T² is kept.

transformers has a way to flex attention too, but under autocast it hands on queries and values of
two dtypes, which flex attention refuses, and it is closed to architectures that work.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    create_block_mask,
    flex_attention,
)
from transformers import AttentionInterface

from boomerang.modules.accelerator import BLOCKS

_VARIANTS = 64
_PLACES = 128
"""A block of them: what a shape is tried with."""

Score = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def block_mask(positions: Tensor, window: int | None = None) -> BlockMask:
    """What each place sees: itself and those before it in its document, `window` at most in all.

    A document begins wherever the positions (B, T) do not go on by one.
    """
    rows, length = positions.shape
    documents = (torch.diff(positions, prepend=positions[:, :1] - 1) != 1).cumsum(-1)
    # A tensor: a number would be compiled anew for each window.
    reach = documents.new_tensor(length if window is None else window)

    def sees(b: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        near = (key <= query) & (query - key < reach)
        return near & (documents[b, key] == documents[b, query])

    return create_block_mask(sees, rows, None, length, length, device=positions.device)


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: BlockMask,
    scaling: float | None = None, softcap: float | None = None, s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention as transformers calls it: query (B, heads, T, d), key and value with fewer heads.

    `softcap` bounds the scores, `s_aux` (heads,) are scores of sinks, which take a part of the
    attention and give nothing. The answer is (B, T, heads, d).
    """
    dtype = value.dtype
    if torch.is_autocast_enabled(query.device.type):
        dtype = torch.get_autocast_dtype(query.device.type)
    query, key, value = (each.to(dtype) for each in (query, key, value))
    out, aux = _kernel(query.device.type)(
        query,
        key,
        value,
        score_mod=None if softcap is None else _capped(softcap),
        block_mask=attention_mask,
        scale=scaling,
        enable_gqa=True,
        return_aux=AuxRequest(lse=True),
    )
    if s_aux is not None:
        # The part that is left of a softmax when one more score joins it.
        left = torch.sigmoid(aux.lse - s_aux[:, None].float())
        out = out * left[..., None].to(dtype)
    return out.transpose(1, 2).contiguous(), None


@dataclass(frozen=True)
class Shape:
    """What a model asks of a kernel: heads of `width`, `keys` of them for keys and values.

    `cap` bounds the scores, `sinks` says whether there are scores of them; products are in `dtype`.
    """

    heads: int
    keys: int
    width: int
    cap: float | None
    sinks: bool
    dtype: torch.dtype

    @classmethod
    def of(cls, model: Any, dtype: torch.dtype) -> "Shape":
        """That of a model of transformers."""
        config: Any = model.config
        heads = int(config.num_attention_heads)
        return cls(
            heads,
            getattr(config, "num_key_value_heads", None) or heads,
            getattr(config, "head_dim", None) or config.hidden_size // heads,
            getattr(config, "attn_logit_softcapping", None),
            any(name.endswith(".sinks") for name, _ in model.named_parameters()),
            dtype,
        )


@lru_cache
def works(where: torch.device, shape: Shape) -> bool:
    """Whether a device computes attention of a shape by blocks, with its gradient: tried once.

    Compiling needs more of a machine than can be asked of it (compiler, headers, a folder whose
    files may be run), and a kernel may ask for more memory on the chip than there is; what is
    missing is said on stderr, and the mask is right without it.
    """
    try:
        query, key, value = (
            torch.ones(
                1, heads, _PLACES, shape.width, dtype=shape.dtype, device=where, requires_grad=True
            )
            for heads in (shape.heads, shape.keys, shape.keys)
        )
        sinks = torch.zeros(shape.heads, device=where, requires_grad=True) if shape.sinks else None
        mask = block_mask(torch.arange(_PLACES, device=where)[None])
        out, _ = attend(nn.Identity(), query, key, value, mask, softcap=shape.cap, s_aux=sinks)
        torch.autograd.backward(out.sum())
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        print(
            f"Attention by blocks does not work on {where} for {shape}: {said}",
            file=sys.stderr,
            flush=True,
        )
        return False
    return True


@lru_cache
def _capped(cap: float) -> Score:
    def score(score: Tensor, *_places: Tensor) -> Tensor:
        return cap * torch.tanh(score / cap)

    return score


@lru_cache
def _kernel(device: str) -> Any:
    """Compiled for a GPU; a CPU computes it as it is written, with all scores, for tests."""
    if device != "cuda":
        return flex_attention
    # Each dtype, size of a batch and kind of pass is compiled once. Past the usual 8 of them torch
    # would compute as a CPU does; as one graph it must not.
    torch._dynamo.config.recompile_limit = _VARIANTS
    return torch.compile(flex_attention, fullgraph=True)


AttentionInterface.register(BLOCKS, attend)
