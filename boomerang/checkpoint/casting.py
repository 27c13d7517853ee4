"""Casting of raw tensor bytes from one float dtype to another, to the nearest, ties to even.

Bit for bit what `torch.Tensor.to` gives, without a tensor library; NaN becomes a quiet NaN of the
same sign (torch's own differ between its vectorised and its scalar loop).
"""

from collections.abc import Callable

import ml_dtypes  # noqa: F401 - so that numpy knows bfloat16
import numpy as np

from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.errors import CorruptCheckpoint

_DTYPES = {name: np.dtype(word) for name, word in FLOAT_NAMES.items()}


def caster(from_dtype: str, to_dtype: str) -> Callable[[bytes | memoryview], bytes]:
    """Return a function that casts whole elements. Raises CorruptCheckpoint for a non-float."""
    for dtype in (from_dtype, to_dtype):
        if dtype not in _DTYPES:
            raise CorruptCheckpoint(
                f"A tensor stored as {from_dtype} cannot become {to_dtype}.",
                value=dtype,
                fix=f"Only {', '.join(FLOAT_NAMES)} are cast; use an unquantised checkpoint.",
            )
    wide, narrow = _DTYPES[from_dtype], _DTYPES[to_dtype]
    # torch narrows float64 by way of float32, so it is rounded twice there too.
    by_way = np.float32 if from_dtype == "F64" and to_dtype in ("F16", "BF16") else wide

    def cast(data: bytes | memoryview) -> bytes:
        values = np.frombuffer(data, wide)
        with np.errstate(over="ignore", invalid="ignore"):
            return values.astype(by_way, copy=False).astype(narrow, copy=False).tobytes()

    return cast
