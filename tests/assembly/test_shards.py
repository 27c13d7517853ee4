"""How a member's tensors are dealt to files, and that equal bytes lie in equal runs."""

import json
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.assembly.bytefile import ByteFile, Range
from boomerang.assembly.stitch import Placed, member_files, weight_files
from boomerang.assembly.writing import PAGE
from boomerang.checkpoint.files import INDEX, SINGLE
from boomerang.checkpoint.header import ITEM_BYTES, Tensor, parse_header
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRequest
from boomerang.family.composition import Composition, Side, last_to_first
from tests.checkpoint.test_table import Memory
from tests.support.models import duo

BYTES = Memory(bytes(range(256)) * 16)


def one(name: str, tensor: Tensor) -> Placed:
    """A tensor of a member that is the teacher's as it is."""
    return Placed(name, tensor, tensor.dtype, Side.TEACHER)


@st.composite
def placed(draw: st.DrawFn) -> list[Placed]:
    """Tensors of a member, of one dtype or of several."""
    found = []
    dtypes = draw(st.sampled_from([["BF16"], ["BF16", "F32", "U8"]]))
    for number in range(draw(st.integers(1, 12))):
        dtype = draw(st.sampled_from(dtypes))
        length = draw(st.integers(0, 40))
        start = draw(st.integers(0, 200)) * 4
        stop = start + length * ITEM_BYTES[dtype]
        found.append(one(f"t{number}", Tensor("t", dtype, (length,), BYTES, start, stop)))
    return found


@given(placed(), st.data())
def test_shards_stay_below_the_limit(tensors: list[Placed], data: st.DataObject) -> None:
    exactly_full = list(accumulate(item.size for item in tensors))
    limit = data.draw(st.integers(1, 400) | st.sampled_from([n for n in exactly_full if n] or [1]))
    largest = max(item.size for item in tensors)
    if largest > limit:
        with pytest.raises(BadRequest) as caught:
            weight_files(tensors, limit)
        assert caught.value.value == limit
        return
    files = weight_files(tensors, limit)
    index = json.loads(files.pop(INDEX).read()) if INDEX in files else None
    shards = {name: parse_header(Memory(file.read())) for name, file in sorted(files.items())}
    sizes = [sum(t.stop - t.start for t in shard.values()) for shard in shards.values()]
    assert max(sizes) <= limit
    order = [item.name for item in tensors]
    dealt = [sorted(shard, key=order.index) for shard in shards.values()]
    assert [name for shard in dealt for name in shard] == order, "every tensor once, in order"
    size = {item.name: item.size for item in tensors}
    for full, shard in zip(sizes, dealt[1:], strict=False):
        assert full + size[shard[0]] > limit, "a shard is begun only where the last one is full"
    assert (index is None) == (list(files) == [SINGLE])
    if index is not None:
        assert index["weight_map"] == {name: f for f, shard in shards.items() for name in shard}
        assert index["metadata"]["total_size"] == sum(sizes)
    for item in tensors:
        stored = next(shard[item.name] for shard in shards.values() if item.name in shard)
        assert stored.source.read(stored.start, stored.stop) == item.piece.read(0, item.size)
        assert (stored.start - 8) % ITEM_BYTES[item.dtype] == 0, "aligned to its own width"


@given(placed(), st.integers(80, 400))
def test_the_same_tensors_are_dealt_alike(tensors: list[Placed], limit: int) -> None:
    tensors = [item for item in tensors if item.size <= limit] or [tensors[0]]
    limit = max(limit, tensors[0].size)
    once, twice = weight_files(tensors, limit), weight_files(list(tensors), limit)
    assert {name: file.read() for name, file in once.items()} == {
        name: file.read() for name, file in twice.items()
    }


def body(file: ByteFile) -> bytes:
    """The tensors' bytes of a safetensors file."""
    data = file.read()
    return data[8 + int.from_bytes(data[:8], "little") :]


def common(a: bytes, b: bytes) -> int:
    """How many bytes two runs share at their start."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), len(a))


@pytest.mark.parametrize("kind", ["llama", "llama-tied", "mixtral"])
def test_neighbouring_sizes_share_everything_but_the_patched_block(
    tmp_path: Path, kind: str
) -> None:
    """What a store that knows runs of bytes (Xet, rsync, btrfs) keeps only once."""
    made = duo(tmp_path, kind, frozen=True)
    pair = made.pair
    order = last_to_first(pair.layermap)
    # The ends change once, with the first patch from the end; from there on only a block does.
    members = [Composition.patched(pair.layermap, order[:k]) for k in range(1, len(order))]
    stored = Checkpoint.open(made.student_folder).tensors.values()
    layers = [t for t in stored if ".layers.0." in t.name]
    layer = sum(t.stop - t.start for t in layers)
    assert len(members) > 1
    for smaller, larger in pairwise(members):
        a, b = (body(member_files(pair, one)[SINGLE]) for one in (smaller, larger))
        shared = common(a, b) + common(a[::-1], b[::-1])
        # One-layer blocks beside the patched one go with it.
        changed = sum(
            x is not y for x, y in zip(smaller.choices, larger.choices, strict=True)
        )  # fmt: skip
        assert shared >= len(a) - changed * layer
        assert shared > len(a) // 2


@pytest.mark.parametrize("lead", [0, 8, 40, 4088])
def test_most_bytes_keep_their_place_in_a_page(lead: int) -> None:
    """So that the kernel copies whole pages, or shares the blocks that hold them."""
    source = Memory(bytes(40_000))
    long = Tensor("a", "U8", (20_000,), source, 8192 + lead, 28_192 + lead)
    short = Tensor("b", "U8", (104,), source, 501, 605)
    file = weight_files([one("b", short), one("a", long)])[SINGLE]
    stored = parse_header(Memory(file.read()))["a"]
    assert stored.start % PAGE == long.start % PAGE
    assert int.from_bytes(file.read(0, 8), "little") % 8 == 0


def test_layers_of_one_source_are_few_long_ranges(tmp_path: Path) -> None:
    pair = duo(tmp_path, "llama").pair
    order = last_to_first(pair.layermap)
    for k in range(len(order) + 1):
        composition = Composition.patched(pair.layermap, order[:k])
        pieces = member_files(pair, composition)[SINGLE].pieces
        ranges = [piece for piece in pieces if isinstance(piece, Range)]
        runs = 1 + sum(
            (a.side, a.index + 1) != (b.side, b.index) for a, b in pairwise(composition.layers)
        )
        # Embeddings, norm and head may lie elsewhere than the layers in their source.
        assert len(ranges) <= runs + 3
