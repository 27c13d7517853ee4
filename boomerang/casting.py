"""Casting of raw tensor bytes from one float dtype to another, to the nearest, ties to even.

Bit for bit what `torch.Tensor.to` gives (NaN becomes the quiet NaN), without a tensor library.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from boomerang.errors import CorruptCheckpoint

FLOATS = ("F64", "F32", "F16", "BF16")
_NATIVE: dict[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16}
_BLOCK = 1 << 16
"""Elements cast at a time: small enough that all temporaries stay in the processor's cache."""


def caster(from_dtype: str, to_dtype: str) -> Callable[[bytes], bytes]:
    """Return a function that casts whole elements. Raises CorruptCheckpoint for a non-float."""
    for dtype in (from_dtype, to_dtype):
        if dtype not in FLOATS:
            raise CorruptCheckpoint(
                f"A tensor stored as {from_dtype} cannot become {to_dtype}.",
                value=dtype,
                fix=f"Only {', '.join(FLOATS)} are cast; use an unquantised checkpoint.",
            )

    def cast(data: bytes) -> bytes:
        wide = _decode(data, from_dtype)
        blocks = range(0, max(len(wide), 1), _BLOCK)
        return b"".join(_encode(wide[at : at + _BLOCK], to_dtype) for at in blocks)

    return cast


def _decode(data: bytes, dtype: str) -> NDArray[Any]:
    if dtype == "BF16":
        widened = np.frombuffer(data, np.uint16).astype(np.uint32) << np.uint32(16)
        return widened.view(np.float32)
    return np.frombuffer(data, _NATIVE[dtype])


def _encode(values: NDArray[Any], dtype: str) -> bytes:
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype in ("F16", "BF16"):
            # torch narrows float64 by way of float32, so it is rounded twice there too.
            values = values.astype(np.float32, copy=False)
        if dtype != "BF16":
            return bytes(values.astype(_NATIVE[dtype]).data)
        bits = values.view(np.uint32)
    # Adding 0x7fff, and one more where the last kept bit is set, rounds ties to even.
    last_kept = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + last_kept + np.uint32(0x7FFF)) >> np.uint32(16)).astype(np.uint16)
    rounded[(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)] = 0x7FC0
    return bytes(rounded.data)
