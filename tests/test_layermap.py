"""LayerMap: which teacher layers a student keeps, against the maps of the published models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.errors import StudentMismatch
from boomerang.layermap import LayerMap


@st.composite
def layermaps(draw: st.DrawFn, depth: int = 14) -> LayerMap:
    layers = draw(st.integers(1, depth))
    kept = draw(st.sets(st.integers(0, layers - 1)))
    return LayerMap(tuple(sorted(kept | {0})), layers)


def test_published_map_of_qwen3_4b() -> None:
    map_ = LayerMap.published(36)
    assert map_.kept == (*range(0, 35, 2), 35)
    assert len(map_.kept) == 19
    assert len(map_.long) == 17


def test_published_map_of_llama_3_2_3b() -> None:
    assert LayerMap.published(28, first=2, last=1).kept == (0, *range(1, 28, 2))


def test_blocks_long_and_pruned() -> None:
    map_ = LayerMap((0, 2, 3, 5, 7), 8)
    assert map_.blocks == (range(0, 2), range(2, 3), range(3, 5), range(5, 7), range(7, 8))
    assert map_.long == (0, 2, 3)
    assert map_.pruned == (1, 4, 6)


@given(layermaps())
def test_every_teacher_layer_is_in_exactly_one_block(map_: LayerMap) -> None:
    assert [i for block in map_.blocks for i in block] == list(range(map_.layers))
    assert tuple(block.start for block in map_.blocks) == map_.kept
    assert sorted((*map_.kept, *map_.pruned)) == list(range(map_.layers))
    assert LayerMap.from_kept(reversed(map_.kept), map_.layers) == map_


@given(st.integers(1, 40), st.integers(0, 8), st.integers(0, 5), st.integers(-1, 8))
def test_published_is_a_map_or_a_clear_refusal(
    layers: int, first: int, every: int, last: int
) -> None:
    try:
        map_ = LayerMap.published(layers, first, every, last)
    except StudentMismatch:
        assert first < 1 or every < 1 or last < 0 or first + last > layers
    else:
        assert set(range(first)) | set(range(layers - last, layers)) <= set(map_.kept)
        assert all(len(block) <= every for block in map_.blocks)


@pytest.mark.parametrize(
    "kept", [(), (1, 2), (0, 2, 2), (0, 3, 2), (0, 8), (0, -1), (-1, 0), (0, 10**30)]
)
def test_what_is_no_map(kept: tuple[int, ...]) -> None:
    with pytest.raises(StudentMismatch) as caught:
        LayerMap(kept, 8)
    assert caught.value.value == list(kept)
    assert caught.value.fix
