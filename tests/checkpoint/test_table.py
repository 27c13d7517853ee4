"""Checkpoint: headers are read exactly, and one that lies is refused, never believed or passed."""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save, save_file

from boomerang.checkpoint.files import INDEX, SINGLE
from boomerang.checkpoint.header import ITEM_BYTES, parse_header
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import CorruptCheckpoint, NoSafetensors, SourceChanged, TeacherNotFound


@dataclass(frozen=True)
class Memory:
    """Bytes that notice when somebody reads outside of them."""

    data: bytes
    claimed: int | None = None
    reads: list[tuple[int, int]] = field(default_factory=list)
    name: str = "memory"

    @property
    def size(self) -> int:
        return len(self.data) if self.claimed is None else self.claimed

    def read(self, start: int, stop: int) -> bytes:
        if not 0 <= start <= stop <= self.size:
            raise AssertionError(f"read of {start}..{stop} in {self.size} bytes")
        self.reads.append((start, stop))
        return self.data[start:stop]


def packed(header: Any, data: bytes = b"", *, length: int | None = None) -> Memory:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    return Memory(struct.pack("<Q", length) + text + data)


def entry(start: Any = 0, stop: Any = 8, dtype: Any = "F32", shape: Any = (2,)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


LIES: dict[str, Memory] = {
    "overlap": packed({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
    "the same bytes twice": packed({"a": entry(0, 8), "b": entry(0, 8)}, bytes(8)),
    "hole": packed({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)),
    "hole at the start": packed({"a": entry(4, 12)}, bytes(12)),
    "past the end": packed({"a": entry(0, 8)}, bytes(7)),
    "bytes left over": packed({"a": entry(0, 8)}, bytes(9)),
    "no tensors but bytes": packed({}, bytes(1)),
    "huge length": packed({}, length=(1 << 64) - 1),
    "length past the end": packed({}, length=3),
    "length beyond the limit": Memory(struct.pack("<Q", 1 << 40), claimed=1 << 50),
    "shorter than a length": Memory(b"\x02\x00\x00"),
    "empty": Memory(b""),
    "duplicate tensor": packed(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
        b'"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}', bytes(16)),
    "duplicate field": packed(
        b'{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
    "unknown dtype": packed({"a": entry(dtype="F7")}, bytes(8)),
    "dtype in lower case": packed({"a": entry(dtype="f32")}, bytes(8)),
    "dtype that is a list": packed({"a": entry(dtype=["F32"])}, bytes(8)),
    "negative shape": packed({"a": entry(shape=[-1, -2])}, bytes(8)),
    "fractional shape": packed({"a": entry(shape=[2.0])}, bytes(8)),
    "boolean shape": packed({"a": entry(0, 4, shape=[True])}, bytes(4)),
    "shape that is a number": packed({"a": entry(shape=2)}, bytes(8)),
    "shape of other size": packed({"a": entry(shape=[3])}, bytes(8)),
    "shape whose size has thousands of digits": packed(
        {"a": entry(shape=[10**4000, 10**4000])}, bytes(8)),
    "shape of too many dimensions": packed({"a": entry(shape=[1 << 62] * 20_000)}, bytes(8)),
    "stop before start": packed({"a": entry(8, 0)}, bytes(8)),
    "negative offset": packed({"a": entry(-8, 0)}, bytes(8)),
    "three offsets": packed({"a": {**entry(), "data_offsets": [0, 8, 8]}}, bytes(8)),
    "no offsets": packed({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "entry that is a list": packed({"a": [1]}, bytes(8)),
    "header that is a list": packed([1]),
    "header that is null": packed(None),
    "deep nesting": packed(b"[" * 200_000),
    "deep nesting in an entry": packed(b'{"a":' * 100_000),
    "no JSON": packed(b"{nothing}"),
    "number of 5000 digits": packed(b'{"a":' + b"9" * 5000 + b"}"),
    "UTF-16": packed("{}".encode("utf-16")),
    "no UTF-8": packed(b'{"\xff":1}'),
    "a zip, as torch.save makes": Memory(b"PK\x03\x04" + bytes(200)),
}  # fmt: skip


@pytest.mark.parametrize("lie", list(LIES))
def test_a_header_that_lies_is_refused(lie: str) -> None:
    with pytest.raises(CorruptCheckpoint) as caught:
        parse_header(LIES[lie])
    assert caught.value.value == "memory"
    assert len(str(caught.value)) < 1000


def test_a_huge_header_is_refused_before_it_is_read() -> None:
    source = LIES["length beyond the limit"]
    source.reads.clear()
    with pytest.raises(CorruptCheckpoint):
        parse_header(source)
    assert source.reads == [(0, 8)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from([*ITEM_BYTES, "F7"]) | json_values,
        "shape": st.lists(st.integers(-2, 9), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-4, 99), min_size=2, max_size=2) | json_values,
    },
)
headers = st.dictionaries(st.text(max_size=3), entries | json_values, max_size=5) | json_values
fuzzed = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda h, d: packed(h, d).data, headers, st.binary(max_size=40)),
    st.builds(lambda t, d, n: packed(t, d, length=n).data, st.binary(max_size=30),
              st.binary(max_size=30), st.integers(0, 40) | st.integers(0, (1 << 64) - 1)),
)  # fmt: skip


def corrupt_or_tiled(data: bytes) -> bool:
    """Whether bytes are refused; where they are not, their tensors must tile the file exactly."""
    source = Memory(data)
    try:
        tensors = parse_header(source)
    except CorruptCheckpoint:
        return True
    position = 8 + int.from_bytes(data[:8], "little")
    for tensor in sorted(tensors.values(), key=lambda t: (t.start, t.stop)):
        assert tensor.start == position
        assert tensor.stop - tensor.start == tensor.parameters * ITEM_BYTES[tensor.dtype]
        assert all(type(side) is int and side >= 0 for side in tensor.shape)
        position = tensor.stop
    assert position == len(data)
    assert max(stop for _, stop in source.reads) <= 8 + int.from_bytes(data[:8], "little")
    return False


@given(fuzzed)
def test_any_bytes_are_a_checkpoint_or_a_corrupt_one(data: bytes) -> None:
    corrupt_or_tiled(data)


@given(st.data())
def test_a_good_file_with_some_bytes_changed(data: st.DataObject) -> None:
    good = bytearray(save({"a": torch.ones(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.just(len(good)) | st.integers(0, len(good)))
    corrupt_or_tiled(bytes(good[:cut]))


@st.composite
def tilings(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A good header, in any order of names, and the bytes that its tensors have."""
    header: dict[str, Any] = {}
    position = 0
    for number in range(draw(st.integers(0, 5))):
        dtype = draw(st.sampled_from(sorted(ITEM_BYTES)))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        size = math.prod(shape) * ITEM_BYTES[dtype]
        header[f"t{number}"] = entry(position, position + size, dtype, shape)
        position += size
    names = draw(st.permutations(list(header)))
    return {name: header[name] for name in names}, position


@given(tilings())
def test_every_tiling_is_read(tiling: tuple[dict[str, Any], int]) -> None:
    header, size = tiling
    assert not corrupt_or_tiled(packed({**header, "__metadata__": {}}, bytes(size)).data)


wrong = st.integers(-9, 200) | st.sampled_from([1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, 1 << 200])


@given(tilings(), st.data())
def test_a_good_header_with_one_value_changed(
    tiling: tuple[dict[str, Any], int], data: st.DataObject
) -> None:
    """Offsets, shapes, dtypes and names, changed one by one, and the file's length too."""
    header, size = json.loads(json.dumps(tiling[0])), tiling[1]
    if header:
        name = data.draw(st.sampled_from(sorted(header)))
        where = data.draw(st.sampled_from(["data_offsets", "shape", "dtype", "gone", "again"]))
        if where == "data_offsets":
            header[name][where][data.draw(st.integers(0, 1))] = data.draw(wrong)
        elif where == "shape":
            header[name][where] = data.draw(st.lists(wrong, max_size=4))
        elif where == "dtype":
            header[name][where] = data.draw(st.sampled_from(sorted(ITEM_BYTES)))
        elif where == "gone":
            del header[name]
        else:
            header["again"] = header[name]
    size += data.draw(st.sampled_from([0, 0, -1, 1, 8]))
    corrupt_or_tiled(packed(header, bytes(max(size, 0))).data)


TORCH = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "I32": torch.int32, "I64": torch.int64, "F16": torch.float16, "BF16": torch.bfloat16,
    "F32": torch.float32, "F64": torch.float64, "F8_E4M3": torch.float8_e4m3fn,
}  # fmt: skip


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).filter(
            lambda name: name != "__metadata__"
        ),
        st.tuples(st.sampled_from(sorted(TORCH)), st.lists(st.integers(0, 4), max_size=3)),
        min_size=1,
        max_size=5,
    ),
    st.none() | st.dictionaries(st.text("abc"), st.text("abc"), min_size=1, max_size=2),
)
def test_what_safetensors_saves_is_read_alike(
    tmp_path: Path, wanted: dict[str, tuple[str, list[int]]], metadata: dict[str, str] | None
) -> None:
    path = tmp_path / "file.safetensors"
    tensors = {
        name: torch.randint(0, 2, shape).to(TORCH[dtype]) for name, (dtype, shape) in wanted.items()
    }
    save_file(tensors, path, metadata)
    read = parse_header(FileSource.of(path))
    with safe_open(path, "pt") as opened:
        assert set(read) == set(opened.keys())
        for name, tensor in read.items():
            theirs = opened.get_slice(name)
            assert (tensor.dtype, list(tensor.shape)) == (theirs.get_dtype(), theirs.get_shape())
            stored = tensor.source.read(tensor.start, tensor.stop)
            raw = tensors[name].contiguous().flatten().view(torch.uint8)
            assert stored == raw.numpy().tobytes()


def folder(path: Path, shards: dict[str, list[str]], *, index: dict[str, Any] | None) -> Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text('{"model_type": "llama"}')
    for shard, names in shards.items():
        save_file({name: torch.ones(2) for name in names}, path / shard)
    if index is not None:
        (path / INDEX).write_text(json.dumps(index))
    return path


def test_shards_and_other_files(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}
    where = folder(tmp_path, {"x.safetensors": ["a"], "y.safetensors": ["b"]}, index=index)
    (where / "tokenizer.json").write_text("{}")
    checkpoint = Checkpoint.open(where)
    assert set(checkpoint.tensors) == {"a", "b"}
    assert checkpoint.parameters == 4
    assert set(checkpoint.files) == {"config.json", "tokenizer.json"}
    assert checkpoint.json("tokenizer.json") == {}
    assert checkpoint.json("none.json") is None


def test_a_single_file_goes_before_an_index(tmp_path: Path) -> None:
    """transformers loads model.safetensors where both are there."""
    where = folder(tmp_path, {SINGLE: ["new"], "old.safetensors": ["old"]},
                   index={"weight_map": {"old": "old.safetensors"}})  # fmt: skip
    assert set(Checkpoint.open(where).tensors) == {"new"}


DISAGREEING: dict[str, tuple[dict[str, list[str]], Any]] = {
    "missing shard": ({"x.safetensors": ["a"]},
                      {"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}}),
    "tensor that no shard has": ({"x.safetensors": ["a"]},
                                 {"weight_map": {"a": "x.safetensors", "b": "x.safetensors"}}),
    "tensor that the index lacks": ({"x.safetensors": ["a", "b"]},
                                    {"weight_map": {"a": "x.safetensors"}}),
    "shard outside the folder": ({}, {"weight_map": {"a": "../x.safetensors"}}),
    "shard that is the config": ({}, {"weight_map": {"a": "config.json"}}),
    "shard that is a number": ({}, {"weight_map": {"a": 3}}),
    "shard that is a list": ({}, {"weight_map": {"a": ["x.safetensors"]}}),
    "empty map": ({}, {"weight_map": {}}),
    "map that is a list": ({}, {"weight_map": ["a"]}),
    "no map": ({}, {}),
    "list": ({}, [1]),
}  # fmt: skip


@pytest.mark.parametrize("case", list(DISAGREEING))
def test_an_index_that_disagrees(tmp_path: Path, case: str) -> None:
    shards, index = DISAGREEING[case]
    with pytest.raises(CorruptCheckpoint) as caught:
        Checkpoint.open(folder(tmp_path, shards, index=index))
    assert caught.value.fix


def test_one_tensor_in_two_shards(tmp_path: Path) -> None:
    where = folder(tmp_path, {"x.safetensors": ["a"], "y.safetensors": ["b"]}, index=None)
    with pytest.raises(CorruptCheckpoint):
        Checkpoint.open(
            folder(where, {"y.safetensors": ["a", "b"]},
                   index={"weight_map": {"a": "x.safetensors", "b": "y.safetensors"}})
        )  # fmt: skip


def bin_only(path: Path) -> None:
    (path / SINGLE).unlink()
    (path / "pytorch_model.bin").write_bytes(b"PK")


def truncated(path: Path) -> None:
    data = (path / SINGLE).read_bytes()
    (path / SINGLE).write_bytes(data[:-1])


def config_gone(path: Path) -> None:
    (path / "config.json").unlink()


def config_written(text: str) -> Callable[[Path], None]:
    return lambda path: (path / "config.json").write_text(text) and None


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (bin_only, NoSafetensors),
        (lambda path: (path / SINGLE).unlink(), NoSafetensors),
        (truncated, CorruptCheckpoint),
        (config_gone, TeacherNotFound),
        (config_written("{"), CorruptCheckpoint),
        (config_written("[]"), CorruptCheckpoint),
        (config_written("[" * 200_000), CorruptCheckpoint),
        (config_written('{"a": ' + "9" * 5000 + "}"), CorruptCheckpoint),
        (lambda path: (path / "config.json").write_bytes(b"\xff\xfe{"), CorruptCheckpoint),
    ],
)
def test_a_folder_that_cannot_be_used(
    tmp_path: Path, harm: Callable[[Path], Any], error: type[Exception]
) -> None:
    where = folder(tmp_path, {SINGLE: ["a"]}, index=None)
    assert Checkpoint.open(where).tensors
    harm(where)
    with pytest.raises(error) as caught:
        Checkpoint.open(where)
    assert caught.value.fix


def test_a_config_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    where = folder(tmp_path, {SINGLE: ["a"]}, index=None)
    with (where / "config.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CorruptCheckpoint):
        Checkpoint.open(where)


@pytest.mark.parametrize("name", ["nowhere", "config.json"])
def test_no_folder(tmp_path: Path, name: str) -> None:
    folder(tmp_path, {SINGLE: ["a"]}, index=None)
    with pytest.raises(TeacherNotFound):
        Checkpoint.open(tmp_path / name)


def test_a_file_that_changed_between_plan_and_read(tmp_path: Path) -> None:
    where = folder(tmp_path, {SINGLE: ["a"]}, index=None)
    tensor = Checkpoint.open(where).tensors["a"]
    save_file({"a": torch.zeros(2)}, where / SINGLE)
    with pytest.raises(SourceChanged) as caught:
        tensor.source.read(tensor.start, tensor.stop)
    assert caught.value.value == SINGLE
