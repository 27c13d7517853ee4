"""LayerMap: which teacher layers a student keeps, against the maps of the published models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.errors import StudentMismatch
from boomerang.family.layer_map import LayerMap


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


@given(st.integers(0, 40))
def test_published_is_a_map_or_a_clear_refusal(layers: int) -> None:
    try:
        map_ = LayerMap.published(layers)
    except StudentMismatch:
        assert layers < 3
    else:
        assert {0, layers - 2, layers - 1} <= set(map_.kept)
        assert all(len(block) <= 2 for block in map_.blocks)


def period(every: int, layers: int) -> list[str]:
    """Every so-manieth layer attends to everything, as in Gemma 3 (6), Olmo 3 (4), Gemma 2 (2)."""
    return ["sliding" if (i + 1) % every else "full" for i in range(layers)]


@given(st.integers(3, 60))
def test_layers_of_one_kind_keep_the_published_map(layers: int) -> None:
    assert LayerMap.keeping_kinds(["full"] * layers) == LayerMap.published(layers)


def test_maps_of_models_that_mix_kinds() -> None:
    gemma3 = LayerMap.keeping_kinds(period(6, 26))
    assert gemma3.kept == (0, 2, 4, 6, 8, 11, 12, 14, 16, 18, 20, 23, 24, 25)
    gpt_oss = LayerMap.keeping_kinds(period(2, 24))
    assert gpt_oss.kept == (0, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 22, 23)
    smollm3 = LayerMap.keeping_kinds(period(4, 36))
    assert [i for i in smollm3.kept if i % 4 == 3] == [7, 15, 23, 31, 35]
    olmo3 = LayerMap.keeping_kinds(period(4, 32))
    assert [i for i in olmo3.kept if i % 4 == 3] == [7, 15, 23, 31]


def test_a_kind_that_is_rare_is_kept_too() -> None:
    for at in range(2, 40):
        kinds = ["full" if i == at else "sliding" for i in range(40)]
        assert at in LayerMap.keeping_kinds(kinds).kept
    # Layer 1 lies in the block whose first layer must be kept.
    kinds = ["full" if i == 1 else "sliding" for i in range(40)]
    assert LayerMap.keeping_kinds(kinds).kept == LayerMap.published(40).kept


@given(st.integers(2, 6), st.integers(8, 60))
def test_every_kind_is_kept_in_its_block(every: int, layers: int) -> None:
    kinds = period(every, layers)
    kept, published = LayerMap.keeping_kinds(kinds).kept, LayerMap.published(layers)
    assert len(kept) == len(published.kept)
    assert all(a in block for a, block in zip(kept, published.blocks, strict=True))
    assert (kept[0], kept[-2:]) == (0, published.kept[-2:])
    assert {kinds[i] for i in kept} == set(kinds)


@given(st.integers(2, 6), st.integers(12, 64))
def test_the_default_map_is_near_the_teachers_proportion(every: int, layers: int) -> None:
    kinds = period(every, layers)
    kept = LayerMap.keeping_kinds(kinds).kept
    share = sum(kinds[i] == "full" for i in kept) - len(kept) * kinds.count("full") / layers
    assert abs(share) < 2


@pytest.mark.parametrize(
    "kept", [(), (1, 2), (0, 2, 2), (0, 3, 2), (0, 8), (0, -1), (-1, 0), (0, 10**30)]
)
def test_what_is_no_map(kept: tuple[int, ...]) -> None:
    with pytest.raises(StudentMismatch) as caught:
        LayerMap(kept, 8)
    assert caught.value.value == list(kept)
    assert caught.value.fix
