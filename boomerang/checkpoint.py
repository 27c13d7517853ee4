"""A safetensors checkpoint as a table: tensor name → dtype, shape, byte range. Headers only.

No weight is read here. A header is believed only after it has been checked against the size of
its file: offsets that overlap, leave holes, pass the end or disagree with a shape are refused.
Format: https://github.com/huggingface/safetensors#format
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as short
from typing import Any, NoReturn, Protocol

from boomerang.errors import (
    BoomerangError,
    CorruptCheckpoint,
    NoSafetensors,
    SourceChanged,
    TeacherNotFound,
)

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Bytes of one element, by the dtype names of the safetensors format."""

HEADER_LIMIT = 100_000_000
"""The longest header that the safetensors library itself accepts, in bytes."""

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
OTHER_FORMATS = (".bin", ".pth", ".pt", ".gguf", ".msgpack", ".h5", ".ckpt")


class Source(Protocol):
    """Bytes at an address: a file on this machine, or one on the Hub."""

    @property
    def name(self) -> str:
        """What an error calls it."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop), or raise."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A local file, remembered with what tells whether it is still the same file."""

    path: Path
    size: int
    inode: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileSource":
        """Remember a file as it is now."""
        status = path.stat()
        return cls(path, status.st_size, status.st_ino, status.st_mtime_ns)

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return self.path.name

    def open(self) -> int:
        """Open for reading and return the descriptor.

        Raises SourceChanged where size, inode or modification time are not those remembered.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._changed(error.strerror or "it cannot be opened") from error
        try:
            self.check(descriptor)
        except SourceChanged:
            os.close(descriptor)
            raise
        return descriptor

    def check(self, descriptor: int) -> None:
        """Raise SourceChanged where an open file is not, or no longer, the one remembered."""
        status = os.fstat(descriptor)
        now = (status.st_size, status.st_ino, status.st_mtime_ns)
        if now != (self.size, self.inode, self.mtime_ns):
            raise self._changed("size, inode or modification time differ")

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop).

        Raises SourceChanged, also where the file changes while it is read.
        """
        descriptor = self.open()
        try:
            data = os.pread(descriptor, stop - start, start)
            while len(data) < stop - start:
                more = os.pread(descriptor, stop - start - len(data), start + len(data))
                if not more:
                    raise self._changed(f"it ends at byte {start + len(data)}")
                data += more
            self.check(descriptor)
            return data
        finally:
            os.close(descriptor)

    def _changed(self, how: str) -> SourceChanged:
        return SourceChanged(
            f"{self.name} is not the file that was read first: {how}.",
            value=self.name,
            fix="Restore it, or ask for the family again so that it is read anew.",
        )


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


@dataclass(frozen=True)
class Checkpoint:
    """A model's config, its tensors, and the other files beside them (tokenizer, licence, …)."""

    name: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    files: Mapping[str, Source] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, name: str | None = None) -> "Checkpoint":
        """Read the headers of a local folder.

        Raises TeacherNotFound (no such folder or no config), NoSafetensors, CorruptCheckpoint.
        """
        if not folder.is_dir():
            raise TeacherNotFound(
                f"There is no folder {str(folder)!r}.",
                value=str(folder),
                fix="Give a folder with config.json and safetensors, or a Hub repo id.",
            )
        # Of subfolders only the one that transformers reads beside a tokenizer.
        paths = [*folder.iterdir(), *folder.glob("additional_chat_templates/*.jinja")]
        found = {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
        sources: dict[str, Source] = {n: FileSource.of(path) for n, path in sorted(found.items())}
        return cls.read(name or folder.resolve().name, sources)

    @classmethod
    def read(cls, name: str, files: Mapping[str, Source]) -> "Checkpoint":
        """Read the headers of a checkpoint whose files are given by name.

        Raises as `open`.
        """
        if "config.json" not in files:
            raise TeacherNotFound(
                f"{name!r} has no config.json, so it is no transformers model.",
                value=name,
                fix="Name a model repository or a folder made by save_pretrained.",
            )
        config = read_json(files["config.json"])
        tensors: dict[str, Tensor] = {}
        shards = _shards(name, files)
        for shard, promised in shards.items():
            stored = parse_header(files[shard])
            if promised is not None and set(stored) != promised:
                _refuse_keys(shard, promised, set(stored))
            twice = tensors.keys() & stored.keys()
            if twice:
                raise CorruptCheckpoint(
                    f"{min(twice)!r} of {name!r} is stored in more than one shard.",
                    value=min(twice),
                    fix="Save the checkpoint again.",
                )
            tensors.update(stored)
        others = {f: source for f, source in files.items() if f not in shards and f != INDEX}
        return cls(name, config, tensors, others)

    @property
    def parameters(self) -> int:
        """Number of stored elements, buffers included."""
        return sum(tensor.parameters for tensor in self.tensors.values())

    def json(self, file: str) -> dict[str, Any] | None:
        """The content of a JSON file beside the weights, or None where there is none."""
        return read_json(self.files[file]) if file in self.files else None


def read_json(source: Source) -> dict[str, Any]:
    """Read a small JSON file whose top level is an object. Raises CorruptCheckpoint."""
    if source.size > HEADER_LIMIT:
        raise _corrupt(source, f"it has {source.size} bytes, too many for such a file")
    try:
        value = json.loads(source.read(0, source.size))
    except (ValueError, RecursionError) as error:
        raise _corrupt(source, f"it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _corrupt(source, "its top level is no JSON object")
    return value


def _shards(name: str, files: Mapping[str, Source]) -> dict[str, set[str] | None]:
    """The weight files, each with the tensors that the index promises (None without an index)."""
    if SINGLE in files:
        # As transformers does: a single file goes before an index beside it.
        return {SINGLE: None}
    if INDEX in files:
        promised: dict[str, set[str] | None] = {}
        weight_map = read_json(files[INDEX]).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise _corrupt(files[INDEX], "it has no weight_map")
        for tensor, shard in weight_map.items():
            if not isinstance(shard, str) or shard not in files:
                raise CorruptCheckpoint(
                    f"{name!r} lacks the shard {shard!r} that its index names.",
                    value=shard,
                    fix="Download or copy the checkpoint again.",
                )
            names = promised.setdefault(shard, set())
            if names is not None:
                names.add(tensor)
        return promised
    other = sorted(f for f in files if f.endswith(OTHER_FORMATS))
    raise NoSafetensors(
        f"{name!r} has no {SINGLE}" + (f", only {other[0]}." if other else "."),
        value=name,
        fix="Convert it first: load it and call save_pretrained, which writes safetensors.",
    )


def parse_header(source: Source) -> dict[str, Tensor]:
    """Read and check the header of one safetensors file.

    Raises CorruptCheckpoint where the header is no header, or lies about the file it stands in.
    """
    if source.size < 8:
        raise _corrupt(source, f"it has only {source.size} bytes")
    length = int.from_bytes(source.read(0, 8), "little")
    if length > min(HEADER_LIMIT, source.size - 8):
        raise _corrupt(source, f"its header claims {length} bytes of {source.size}")
    try:
        text = source.read(8, 8 + length).decode()
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _corrupt(source, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _corrupt(source, "its header is no JSON object")
    header.pop("__metadata__", None)
    base = 8 + length
    tensors = [_entry(source, base, name, entry) for name, entry in header.items()]
    position = base
    for tensor in sorted(tensors, key=lambda t: (t.start, t.stop)):
        if tensor.start != position:
            what = "overlap" if tensor.start < position else "leave a hole"
            raise _corrupt(source, f"its tensors {what} before {tensor.name!r}")
        position = tensor.stop
    if position != source.size:
        raise _corrupt(source, f"its tensors end at byte {position} of {source.size}")
    return {tensor.name: tensor for tensor in tensors}


def _entry(source: Source, base: int, name: str, entry: object) -> Tensor:
    def refuse(why: str) -> NoReturn:
        raise _corrupt(source, f"the entry of {short(name)} {why}")

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


def _corrupt(source: Source, why: str) -> BoomerangError:
    return CorruptCheckpoint(
        f"{source.name} cannot be used: {why}.",
        value=source.name,
        fix="Download or save the checkpoint again.",
    )


def _refuse_keys(shard: str, promised: set[str], stored: set[str]) -> NoReturn:
    raise CorruptCheckpoint(
        f"{shard} and the index disagree: missing {sorted(promised - stored)[:5]}, "
        f"unexpected {sorted(stored - promised)[:5]}.",
        value=shard,
        fix="Download or save the checkpoint again.",
    )
