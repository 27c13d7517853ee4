"""The trainer of this benchmark: the product's, with products in bfloat16 where that is asked for.

`python -m benchmarks.teachers.trainer JOB.json`. BOOMERANG_BENCH_BFLOAT16=1 takes the processor for
one that multiplies in bfloat16 itself (AVX512-BF16, AMX): then twice as many tokens are trained in
the same time. Weights stay in float32, as on a GPU.
"""

import os
import sys
from dataclasses import replace

import torch

from boomerang.distill.__main__ import main
from boomerang.distill.parallel.launch import leave
from boomerang.modules.accelerator import Accelerator

BFLOAT16 = "BOOMERANG_BENCH_BFLOAT16"


def mixed() -> None:
    """Have this process compute in bfloat16 where the environment says so."""
    if os.environ.get(BFLOAT16) != "1":
        return
    of = Accelerator.of

    def told(where: torch.device) -> Accelerator:
        return replace(of(where), bfloat16=True)

    # What a device can do is asked for in one place alone.
    setattr(Accelerator, "of", told)  # noqa: B010


if __name__ == "__main__":
    mixed()
    leave(main(sys.argv[1:]))
