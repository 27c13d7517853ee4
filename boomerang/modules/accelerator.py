"""What a device can do, and what follows from that: dtypes, sizes of chunks, kernels.

All that is decided by device is decided here, from a description alone, so that what a GPU would
do is tested on a machine without one.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.library import Library

_CPU_LOGITS = 2**25
_CPU_ROWS = 2**20
"""Logits that stay in a processor's cache."""
_CPU_COMPARED = 2**24
_CPU_ACTIVATIONS = 2**28
_SHARE = 128
"""The part of a GPU's memory, one in so many, that the logits of one side may take in float32."""
_MOST_LOGITS = 2**28
_WALKED = 2**14
"""Numbers that a token counts for at least: its hidden states take memory too."""

BLOCKS = "boomerang_blocks"
"""The name of attention by blocks (attention.py) among transformers' implementations."""


@dataclass(frozen=True)
class Accelerator:
    """A device. `kind` is torch's name for it, `memory` its bytes, 0 where that is not asked.

    `bfloat16` says whether it multiplies in bfloat16 itself, `blocks` whether torch can compile
    attention by blocks for it.
    """

    kind: str
    memory: int = 0
    bfloat16: bool = False
    blocks: bool = False

    @classmethod
    @lru_cache
    def of(cls, where: torch.device) -> "Accelerator":
        """The device that torch has there.

        A T4 and a V100 can emulate bfloat16, many times slower than they multiply in float32. A
        CPU is taken for one without bfloat16 units, which is as slow at it.
        """
        if where.type != "cuda":
            return cls(where.type)
        about = torch.cuda.get_device_properties(where)
        with torch.cuda.device(where):
            bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        # Triton builds its launchers with a C compiler, found as here.
        compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
        blocks = torch.version.hip is None and about.major >= 8 and compiler is not None
        return cls("cuda", int(about.total_memory), bfloat16, blocks)

    @property
    def compute(self) -> torch.dtype:
        """The dtype of products, and of weights that are not trained."""
        return torch.bfloat16 if self.bfloat16 else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """A pass within it has its products in `compute`, also where weights are in float32."""
        if self.compute is torch.float32:
            return nullcontext()
        return torch.autocast(self.kind, self.compute)

    def attention(self, own: str, *, documents: bool, windows: bool) -> str:
        """How a model attends whose `own` way, as transformers calls it, is `own`.

        By blocks where its own way needs a mask of all pairs of places (for `documents` that are
        kept apart, or `windows`), or stores their scores ("eager").
        """
        return BLOCKS if self.blocks and (documents or windows or own == "eager") else own

    @property
    def logits(self) -> int:
        """Logits that may exist at once for one side.

        On a GPU a share of its memory, a power of two: enough for products that fill it.
        """
        if self.kind != "cuda":
            return _CPU_LOGITS
        fitting = max(1, self.memory // _SHARE // torch.float32.itemsize)
        return min(_MOST_LOGITS, max(_CPU_LOGITS, 1 << (fitting.bit_length() - 1)))

    @property
    def activations(self) -> int | None:
        """Bytes that a pass may keep for its backward pass; None where a micro-batch decides it.

        A few hundred tokens keep a CPU as busy as thousands do, in a fraction of the memory.
        """
        return None if self.kind == "cuda" else _CPU_ACTIVATIONS

    @property
    def rows(self) -> int:
        """Logits that are turned into probabilities together.

        On a CPU few enough to stay in its cache; on a GPU all, because every launch costs.
        """
        return self.logits if self.kind == "cuda" else _CPU_ROWS

    @property
    def unkept(self) -> int:
        """Logits of one model that may exist at once where no backward pass follows."""
        return 2 * self.logits

    @property
    def compared(self) -> int:
        """Those of `unkept` that are compared with others together, as with `rows`."""
        return self.unkept if self.kind == "cuda" else _CPU_COMPARED

    @property
    def gathered(self) -> int:
        """Those of `unkept` that rows of a batch share; on a CPU each row has its own product."""
        return self.unkept if self.kind == "cuda" else 0

    @property
    def tokens(self) -> int:
        """Tokens of a batch, where no backward pass follows and few logits are needed."""
        return self.unkept // _WALKED

    def windows(self, few: int, length: int, numbers: int) -> int:
        """Windows of a batch, where no backward pass follows and tokens have so many `numbers`.

        `few` at most on a CPU, which more of them keep no busier.
        """
        room = self.unkept // (length * numbers)
        return max(1, min(room, self.tokens // length if self.kind == "cuda" else few))


def device() -> torch.device:
    """Where models run: the accelerator that torch sees, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _autocast_grouped_products() -> object:
    """Make products by group, those of a mixture's experts, heed autocast as all others do.

    torch has no rule for them (pytorch/pytorch#174763), so that transformers' experts would be in
    the dtype of their weights, float32 in training.
    """
    rules: Any = Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    for kind in ("cpu", "cuda"):
        key = f"Autocast{kind.upper()}"
        rules.impl("_grouped_mm", _autocast_rule(kind, key), key)
    return rules


def _autocast_rule(kind: str, key: str) -> Callable[..., Tensor]:
    this = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))

    def rule(a: Tensor, b: Tensor, *rest: Any, **named: Any) -> Tensor:
        to = torch.get_autocast_dtype(kind)
        with torch._C._ExcludeDispatchKeyGuard(this):
            product: Tensor = torch.ops.aten._grouped_mm(a.to(to), b.to(to), *rest, **named)
        return product

    return rule


_GROUPED_PRODUCTS = _autocast_grouped_products()
