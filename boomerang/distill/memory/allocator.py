"""How the C library hands out memory for tensors on a CPU."""

import ctypes

_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h."""
LARGE = 1 << 20
"""Bytes from which on a block of its own is asked of the system, and goes back to it when freed."""


def give_back_large_blocks() -> bool:
    """Have memory of large tensors go back to the system as soon as they are freed.

    glibc raises that limit to 32 MiB by itself, keeps what is freed below it, and what is kept lies
    between activations that live on: a training step then has up to twice the memory of its
    tensors (docs/experiments.md). Pages that are cleared again cost a few per cent of the time of
    narrow models, and nothing that was seen at a width of 576. False where the C library knows no
    such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGE))
