"""From a composition to the files of a member, each a list of byte ranges.

Nothing is read but headers. Tensors keep the order embeddings, layers, norm, head, and within a
layer the order of their source, so that what is contiguous there is one range here.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from boomerang.architecture.supported import Part, Role
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Piece, Range
from boomerang.assembly.record import whole
from boomerang.assembly.writing import PAGE
from boomerang.checkpoint.files import CARD, CONFIG, INDEX, RECORD, SINGLE, STUDENT_CONFIG, travels
from boomerang.checkpoint.header import ITEM_BYTES, Tensor
from boomerang.errors import BadRequest
from boomerang.family.composition import Choice, Composition, Side
from boomerang.family.member_config import is_tied, member_config
from boomerang.family.pair import Pair

SHARD_BYTES = 5_000_000_000
"""Largest shard by default; a plain download from the Hub ends at 50 GB."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One tensor of a member: its name there, whose and where its bytes are, its dtype there."""

    name: str
    tensor: Tensor
    dtype: str
    side: Side
    size: int = field(init=False)
    """Bytes in the member."""

    def __post_init__(self) -> None:
        # Asked for several times, of many thousand tensors, before the first byte is sent.
        object.__setattr__(self, "size", self.tensor.parameters * ITEM_BYTES[self.dtype])

    @property
    def piece(self) -> Piece:
        """The bytes, cast where the dtypes differ."""
        source, start, stop = self.tensor.source, self.tensor.start, self.tensor.stop
        if self.dtype == self.tensor.dtype:
            return Range(source, start, stop)
        return Cast(source, start, stop, self.tensor.dtype, self.dtype)


def place(pair: Pair, composition: Composition) -> list[Placed]:
    """Every tensor of the member in the order in which it is stored."""
    return list(_placed(pair, composition))


def _placed(pair: Pair, composition: Composition) -> Iterator[Placed]:
    architecture = pair.teacher.architecture
    # Equal embeddings are taken from one side, so that equal members are equal byte for byte.
    side = Side.TEACHER if pair.shared_embeddings else composition.embeddings
    for role, tensor in pair.side(side).part(Part.EMBEDDINGS):
        yield Placed(architecture.name(role), tensor, pair.dtypes[role], side)
    for at, layer in enumerate(composition.layers):
        for role, tensor in pair.side(layer.side).part(Part.LAYER, layer.index):
            dtype = pair.dtypes[Role(Part.LAYER, layer.teacher_index, role.suffix)]
            name = architecture.name(Role(Part.LAYER, at, role.suffix))
            yield Placed(name, tensor, dtype, layer.side)
    for role, tensor in pair.side(composition.norm).part(Part.NORM):
        yield Placed(architecture.name(role), tensor, pair.dtypes[role], composition.norm)
    head, tied = pair.side(composition.head), is_tied(pair, composition)
    if not tied:
        dtype = pair.dtypes[architecture.head]
        name = architecture.name(architecture.head)
        yield Placed(name, head.head_tensor, dtype, composition.head)
    for role, tensor in head.part(Part.HEAD):
        if role not in (architecture.tied_roles if tied else (architecture.head,)):
            yield Placed(architecture.name(role), tensor, pair.dtypes[role], composition.head)


def member_files(
    pair: Pair, composition: Composition, *, record: Mapping[str, Any] | None = None,
    card: str | None = None, shard_bytes: int = SHARD_BYTES,
) -> dict[str, ByteFile]:  # fmt: skip
    """All files of a member by name: config, weights, tokenizer, licence, record and card.

    `record` is what boomerang.json says beside the composition itself (`record.made_of`). Raises
    as `member_config`, and BadRequest for a shard size below one tensor's.
    """
    config = _json(member_config(pair, composition))
    files = {
        name: ByteFile.whole(source)
        for name, source in sorted(pair.teacher.checkpoint.files.items())
        if travels(name) and name not in (CONFIG, STUDENT_CONFIG, RECORD)
    }
    files[CONFIG] = config
    files[RECORD] = _json(whole(record or {}, composition, config.read()))
    if set(composition.choices) == {Choice.STUDENT}:
        files[STUDENT_CONFIG] = _json(pair.layermap.student_config())
    if card is not None:
        files[CARD] = ByteFile.literal(card)
    return files | weight_files(place(pair, composition), shard_bytes)


def weight_files(placed: list[Placed], shard_bytes: int = SHARD_BYTES) -> dict[str, ByteFile]:
    """The safetensors files of these tensors, and the index where there is more than one.

    Raises BadRequest where one tensor alone is larger than a shard may be.
    """
    shards = _dealt(placed, shard_bytes)
    if len(shards) == 1:
        return {SINGLE: safetensors_file(shards[0])}
    names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    files = {name: safetensors_file(shard) for name, shard in zip(names, shards, strict=True)}
    index = {
        "metadata": {"total_size": sum(item.size for item in placed)},
        "weight_map": {
            item.name: name for name, shard in zip(names, shards, strict=True) for item in shard
        },
    }
    return files | {INDEX: _json(index)}


def safetensors_file(placed: list[Placed]) -> ByteFile:
    """One safetensors file: a header, then the tensors' bytes.

    Wider dtypes come first, which keeps every tensor aligned to its own width. Spaces after the
    header bring most bytes to the place in a page that they have in their source: whole pages are
    copied faster, and blocks can be shared where the file system does that.
    """
    ordered = sorted(placed, key=lambda item: -ITEM_BYTES[item.dtype])
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    bytes_at: Counter[int] = Counter()
    for item in ordered:
        if item.dtype == item.tensor.dtype:
            bytes_at[(item.tensor.start - position) % PAGE] += item.size
        offsets = [position, position + item.size]
        shape = list(item.tensor.shape)
        header[item.name] = {"dtype": item.dtype, "shape": shape, "data_offsets": offsets}
        position += item.size
    text = json.dumps(header, separators=(",", ":")).encode()
    kept = [(size, -at) for at, size in bytes_at.items() if at % 8 == 0]
    wanted = -max(kept, default=(0, 0))[1]
    text += b" " * ((wanted - 8 - len(text)) % PAGE)
    start = Literal(len(text).to_bytes(8, "little") + text)
    return ByteFile([start, *(item.piece for item in ordered)])


def _dealt(placed: list[Placed], shard_bytes: int) -> list[list[Placed]]:
    shards: list[list[Placed]] = [[]]
    room = shard_bytes
    for item in placed:
        if item.size > shard_bytes:
            raise BadRequest(
                f"{item.name} has {item.size} bytes, more than a shard of {shard_bytes}.",
                value=shard_bytes,
                fix=f"Allow shards of at least {item.size} bytes.",
            )
        if item.size > room:
            shards.append([])
            room = shard_bytes
        shards[-1].append(item)
        room -= item.size
    return shards


def _json(value: Mapping[str, Any]) -> ByteFile:
    return ByteFile.literal(json.dumps(value, indent=2, sort_keys=False) + "\n")
