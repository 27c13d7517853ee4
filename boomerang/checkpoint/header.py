"""The header of a safetensors file: names, dtypes, shapes and byte ranges, all checked."""

import json
import math
from dataclasses import dataclass
from reprlib import repr as short
from typing import Any, NoReturn

from boomerang.checkpoint.sources import Source
from boomerang.errors import BoomerangError, CorruptCheckpoint

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element, by the dtype names of the safetensors format."""

FLOAT_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""What array and tensor libraries call the dtypes that are cast."""

HEADER_LIMIT = 100_000_000
"""The longest header that the safetensors library itself accepts, in bytes."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored tensor: bytes [start, stop) of its source, row-major, little-endian."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    source: Source
    start: int
    stop: int

    @property
    def parameters(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_json(source: Source) -> dict[str, Any]:
    """Read a small JSON file whose top level is an object. Raises CorruptCheckpoint."""
    if source.size > HEADER_LIMIT:
        raise corrupt(source, f"it has {source.size} bytes, too many for such a file")
    try:
        value = json.loads(source.read(0, source.size))
    except (ValueError, RecursionError) as error:
        raise corrupt(source, f"it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise corrupt(source, "its top level is no JSON object")
    return value


def parse_header(source: Source) -> dict[str, Tensor]:
    """Read and check the header of one safetensors file.

    Raises CorruptCheckpoint where the header is no header, or lies about the file it stands in.
    """
    if source.size < 8:
        raise corrupt(source, f"it has only {source.size} bytes")
    length = int.from_bytes(source.read(0, 8), "little")
    if length > min(HEADER_LIMIT, source.size - 8):
        raise corrupt(source, f"its header claims {length} bytes of {source.size}")
    try:
        text = source.read(8, 8 + length).decode()
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise corrupt(source, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise corrupt(source, "its header is no JSON object")
    header.pop("__metadata__", None)
    base = 8 + length
    tensors = [_entry(source, base, name, entry) for name, entry in header.items()]
    position = base
    for tensor in sorted(tensors, key=lambda t: (t.start, t.stop)):
        if tensor.start != position:
            what = "overlap" if tensor.start < position else "leave a hole"
            raise corrupt(source, f"its tensors {what} before {tensor.name!r}")
        position = tensor.stop
    if position != source.size:
        raise corrupt(source, f"its tensors end at byte {position} of {source.size}")
    return {tensor.name: tensor for tensor in tensors}


def _entry(source: Source, base: int, name: str, entry: object) -> Tensor:
    def refuse(why: str) -> NoReturn:
        raise corrupt(source, f"the entry of {short(name)} {why}")

    if not isinstance(entry, dict):
        refuse("is no object")
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        refuse(f"has the unknown dtype {short(dtype)}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        refuse(f"has shape {short(shape)} and data_offsets {short(offsets)}")
    start, stop = offsets
    wanted = math.prod(shape) * ITEM_BYTES[dtype]
    if stop - start != wanted:
        refuse(f"needs {wanted} bytes and claims {stop - start}")
    if base + stop > source.size:
        refuse(f"ends past the end of the file, at byte {base + stop} of {source.size}")
    return Tensor(name, dtype, tuple(shape), source, base + start, base + stop)


def _naturals(value: object) -> bool:
    # The bounds keep a product of hostile numbers small; no tensor library exceeds them.
    return (
        isinstance(value, list)
        and len(value) <= 64
        and all(type(item) is int and 0 <= item < 1 << 63 for item in value)
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def corrupt(source: Source, why: str) -> BoomerangError:
    """The error for a file whose header cannot be believed."""
    return CorruptCheckpoint(
        f"{source.name} cannot be used: {why}.",
        value=source.name,
        fix="Download or save the checkpoint again.",
    )
