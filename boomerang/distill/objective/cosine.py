"""The cosine distance between hidden states, with a backward pass of its own."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LEAST = 1e-8
"""A norm below this counts as this, as in torch's cosine_similarity."""


def cosine_distance(a: Tensor, b: Tensor, rows: Tensor | None = None) -> Tensor:
    """Mean over tokens of 1 − cos between hidden states (B, T, width); gradient for `a` alone.

    Over the tokens `rows` alone, places among the B·T, where they are given.
    """
    apply: Any = _Distance.apply
    distance: Tensor = apply(a, b, rows)
    return distance


class _Distance(torch.autograd.Function):
    """Keeps three numbers for each token, and the two tensors themselves: no copy in float32.

    d(1 − cos)/da = (cos · a/|a| − b/|b|) / |a|.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, rows: Tensor | None) -> Tensor:
        x, y = _exact(a), _exact(b)
        of_a = torch.linalg.vector_norm(x, dim=-1).clamp_min_(_LEAST)
        of_b = torch.linalg.vector_norm(y, dim=-1).clamp_min_(_LEAST)
        cosine = torch.linalg.vecdot(x, y).div_(of_a).div_(of_b)
        ctx.save_for_backward(a, b, of_a, of_b, cosine, rows)
        loss: Tensor = 1 - (cosine if rows is None else cosine.flatten()[rows]).mean()
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, share: Tensor) -> tuple[Tensor, None, None]:
        a, b, of_a, of_b, cosine, rows = ctx.saved_tensors
        if rows is not None:
            counts = torch.zeros_like(cosine).view(-1).index_fill_(0, rows, 1.0).view_as(cosine)
            share = share * counts * (cosine.numel() / len(rows))
        each = share / cosine.numel() / of_a
        along, across = (each * cosine / of_a)[..., None], (each / of_b)[..., None]
        slope: Tensor = torch.addcmul(_exact(a) * along, _exact(b), across, value=-1)
        return slope.to(a.dtype), None, None


def _exact(hidden: Tensor) -> Tensor:
    return hidden.to(torch.promote_types(hidden.dtype, torch.float32))
