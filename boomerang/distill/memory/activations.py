"""What the backward pass of a layer keeps, counted by running its class on tensors without memory.

How much that is depends on the architecture (gates, experts, widths of heads, attention with or
without a fused kernel), so no formula tells it: the layer's own forward pass says what it saves.
"""

from collections.abc import Hashable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from transformers import AttentionInterface, AutoConfig, AutoModelForCausalLM

from boomerang.architecture.anatomy import Anatomy
from boomerang.architecture.kinds import SLIDING
from boomerang.modules.accelerator import BLOCKS, Accelerator
from boomerang.modules.causal import Causal, Context


@dataclass(frozen=True)
class LayerActivations:
    """Bytes that a layer keeps of one sequence: trained, or frozen below one that is."""

    trained: int
    frozen: int


def layer_activations(
    anatomy: Anatomy, length: int, on: Accelerator, compute: torch.dtype, *, documents: bool
) -> tuple[LayerActivations, ...]:
    """What each layer of a model keeps of a sequence of `length` tokens on a device.

    `compute` is the dtype of products, `documents` says whether those of a sequence are kept
    apart. What all layers share (masks, rotary pairs) and copies of weights are not counted.
    """
    with FakeTensorMode(allow_non_fake_inputs=True), torch.random.fork_rng(devices=[]):
        fields = {key: value for key, value in anatomy.config.items() if key != "model_type"}
        settings = AutoConfig.for_model(anatomy.config["model_type"], **fields)
        model = AutoModelForCausalLM.from_config(
            settings, dtype=torch.float32, trust_remote_code=False
        )
        causal = Causal(model.eval())
        own, windows = model.config._attn_implementation, SLIDING in causal.kinds
        width = causal.tokens.get_parameter("weight").shape[1]
        hidden = torch.empty(1, length, width)
        context = causal.context(hidden, torch.arange(length)[None] if documents else None)
        if on.attention(own, documents=documents, windows=windows) == BLOCKS:
            model.set_attn_implementation(_FUSED)
            context = replace(context, masks=dict.fromkeys(context.masks))
        return tuple(_each(causal, hidden, context, compute))


def _each(
    causal: Causal, hidden: Tensor, context: Context, compute: torch.dtype
) -> list[LayerActivations]:
    """The layers in turn; those of one kind and shape are counted once."""
    shared = [one for pair in context.rotary.values() if pair is not None for one in pair]
    shared += [mask for mask in context.masks.values() if isinstance(mask, Tensor)]
    found: dict[tuple[Hashable, ...], LayerActivations] = {}
    kept = []
    for index, layer in enumerate(causal.layers):
        kind = (causal.kinds[index], *(parameter.shape for parameter in layer.parameters()))
        if kind not in found:
            sizes = []
            for trained in (True, False):
                layer.requires_grad_(trained)
                saved = _Saved(layer, shared, compute)
                entering = hidden.detach().requires_grad_()
                with saved, _products(layer, compute):
                    causal.layer(index, entering, context)
                sizes.append(saved.bytes)
            found[kind] = LayerActivations(*sizes)
        kept.append(found[kind])
    return kept


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: None, **_: object
) -> tuple[Tensor, None]:
    """Attention that keeps what attention by blocks keeps: its inputs, its output, no scores."""
    out = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=True
    )
    return out.transpose(1, 2).contiguous(), None


_FUSED = "boomerang_fused"
AttentionInterface.register(_FUSED, _attend)


def _products(layer: nn.Module, compute: torch.dtype) -> Any:
    """Autocast where products are in `compute`, or where only bfloat16 can be tried without memory.

    Products by group, those of a mixture's experts, have no shapes in float32.
    """
    grouped = any(parameter.ndim == 3 for parameter in layer.parameters())
    if compute is torch.float32 and not grouped:
        return nullcontext()
    return torch.autocast("cpu", torch.bfloat16)


class _Saved(saved_tensors_hooks):
    """The bytes of what autograd saves within it; what shares memory counts once."""

    def __init__(self, layer: nn.Module, shared: list[Tensor], compute: torch.dtype) -> None:
        # Autocast saves copies of weights, as they are or transposed.
        weights = {(*p.shape[:-2], *end) for p in layer.parameters() for end in _ends(p)}
        known = {tensor.untyped_storage()._cdata for tensor in (*layer.parameters(), *shared)}
        self._sizes: dict[int, tuple[Any, int]] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            rounded = tensor.dtype is torch.bfloat16
            if storage._cdata not in known and not (rounded and tuple(tensor.shape) in weights):
                size = storage.nbytes()
                if rounded:
                    size = size // 2 * compute.itemsize
                # The storage itself is kept, lest another one gets its address.
                self._sizes[storage._cdata] = (storage, size)
            return tensor

        super().__init__(pack, lambda tensor: tensor)

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self._sizes.values())


def _ends(weight: Tensor) -> tuple[tuple[int, ...], ...]:
    end = tuple(weight.shape[-2:])
    return (end, end[::-1])
