"""The trainer, on devices of which the second has room for few sequences only.

More than four of them do not fit in the middle of the way forward, more than two not in the middle
of the way back.
"""

import os
import sys
from typing import Any

from torch import Tensor

from boomerang.distill import __main__ as trainer
from boomerang.distill.objective import losses
from boomerang.distill.parallel.launch import leave
from boomerang.modules.causal import Causal, Context

forward, backward = Causal.layer, losses._Distance.backward


def layer(self: Causal, index: int, hidden: Tensor, context: Context) -> Tensor:
    if index == 3 and len(hidden) > 4:
        raise MemoryError("no room on the way forward")
    return forward(self, index, hidden, context)


def back(ctx: Any, share: Tensor) -> Any:
    if len(ctx.saved_tensors[0]) > 2:
        raise RuntimeError("out of memory on the way back")
    return backward(ctx, share)


if os.environ["RANK"] == "1":
    Causal.layer = layer  # type: ignore[method-assign]
    losses._Distance.backward = staticmethod(back)  # type: ignore[method-assign,assignment]
leave(trainer.main(sys.argv[1:]))
