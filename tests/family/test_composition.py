"""Composition: canonical forms, digests, and the two published orders."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.errors import BadComposition
from boomerang.family.composition import (
    Choice,
    Composition,
    Layer,
    Side,
    first_to_last,
    last_to_first,
)
from boomerang.family.layer_map import LayerMap
from tests.family.test_layer_map import layermaps

MAP = LayerMap((0, 2, 3, 5, 7), 8)


def shorthand(composition: Composition) -> str:
    """Sides and indices: `s0 t2 t3`."""
    return " ".join(f"{layer.side.value[0]}{layer.index}" for layer in composition.layers)


def test_method_example_of_order_last() -> None:
    """docs/method.md: kept 0, 2, 3, 5, 7 of 8, `last`, k = 2: student layer 0, teacher 2 to 7."""
    member = Composition.patched(MAP, last_to_first(MAP)[:2])
    assert shorthand(member) == "s0 t2 t3 t4 t5 t6 t7"
    assert (member.embeddings, member.norm, member.head) == (
        Side.STUDENT, Side.TEACHER, Side.TEACHER,
    )  # fmt: skip


def test_order_first_keeps_the_students_end() -> None:
    member = Composition.patched(MAP, first_to_last(MAP)[:2])
    assert shorthand(member) == "t0 t1 t2 t3 t4 s3 s4"
    assert (member.embeddings, member.norm, member.head) == (
        Side.TEACHER, Side.STUDENT, Side.STUDENT,
    )  # fmt: skip


def test_distilbert_within_bert_as_the_authors_code_builds_it() -> None:
    """Its notebook drops the student's last n layers and appends BERT's from kept[-n] on."""
    map_ = LayerMap((0, 2, 4, 7, 9, 11), 12)
    for k in range(1, 5):
        member = Composition.patched(map_, last_to_first(map_)[:k])
        removed = k + 1
        student = [f"s{j}" for j in range(6 - removed)]
        teacher = [f"t{i}" for i in range(map_.kept[-removed], 12)]
        assert shorthand(member) == " ".join(student + teacher)
        assert member.code.endswith("+stt")


def test_first_layer_alone_keeps_what_it_stands_for() -> None:
    member = Composition.of(MAP, "fsfbs")
    assert shorthand(member) == "t0 s1 t3 t5 t6 s4"
    assert [layer.teacher_index for layer in member.layers] == [0, 2, 3, 5, 6, 7]


@given(layermaps())
def test_none_patched_is_the_student_and_all_the_teacher(map_: LayerMap) -> None:
    student = Composition.patched(map_, ())
    assert student.sides == {Side.STUDENT}
    assert student.layers == tuple(Layer(Side.STUDENT, j, i) for j, i in enumerate(map_.kept))
    if map_.long:
        teacher = Composition.patched(map_, map_.long)
        assert teacher.sides == {Side.TEACHER}
        assert teacher.layers == tuple(Layer(Side.TEACHER, i, i) for i in range(map_.layers))


@given(layermaps(), st.data())
def test_layers_stand_for_the_teachers_in_order(map_: LayerMap, data: st.DataObject) -> None:
    letters = data.draw(st.text("sbf", min_size=len(map_.kept), max_size=len(map_.kept)))
    member = Composition.of(map_, letters)
    stands_for = [layer.teacher_index for layer in member.layers]
    assert stands_for == sorted(set(stands_for))
    assert set(map_.kept) <= set(stands_for)
    for letter, block in zip(letters, map_.blocks, strict=True):
        inside = [layer for layer in member.layers if layer.teacher_index in block]
        assert len(inside) == (len(block) if letter == "b" else 1)
        assert {layer.side.value[0] for layer in inside} == {"s" if letter == "s" else "t"}


@given(layermaps(), st.data())
def test_one_layer_blocks_have_one_canonical_form(map_: LayerMap, data: st.DataObject) -> None:
    letters = data.draw(st.text("sbf", min_size=len(map_.kept), max_size=len(map_.kept)))
    other = "".join(
        letter if len(block) > 1 else letter.replace("f", "b")
        for letter, block in zip(letters, map_.blocks, strict=True)
    )
    a, b = Composition.of(map_, letters), Composition.of(map_, other)
    assert a == b
    assert a.digest("t", "s") == b.digest("t", "s")


@given(layermaps(depth=8))
def test_digests_differ_exactly_where_the_tensors_do(map_: LayerMap) -> None:
    width = min(len(map_.kept), 4)
    tail = "s" * (len(map_.kept) - width)
    placed, digests = set(), set()
    for letters in itertools.product("sbf", repeat=width):
        member = Composition.of(map_, "".join(letters) + tail)
        placed.add((member.layers, member.embeddings, member.norm, member.head))
        digests.add(member.digest("teacher", "student"))
    assert len(digests) == len(placed)


def test_digest_names_teacher_student_and_ends() -> None:
    member = Composition.of(MAP, "ssbbs")
    turned = Composition(MAP, member.choices, Side.TEACHER, member.norm, member.head)
    deeper = Composition.of(LayerMap(MAP.kept, 9), "ssbbs")
    digests = {
        member.digest("a", "b"), member.digest("a", "c"), member.digest("c", "b"),
        turned.digest("a", "b"), deeper.digest("a", "b"),
    }  # fmt: skip
    assert len(digests) == 5
    assert all(len(digest) == 40 for digest in digests)


@given(layermaps(), st.data())
def test_one_layer_blocks_go_with_a_patched_neighbour(map_: LayerMap, data: st.DataObject) -> None:
    patched = data.draw(st.sets(st.sampled_from(map_.long))) if map_.long else set()
    choices = Composition.patched(map_, patched).choices
    for j, choice in enumerate(choices):
        if j in map_.long:
            assert (choice is Choice.BLOCK) == (j in patched)
            continue
        left = next((i for i in range(j - 1, -1, -1) if i in map_.long), None)
        right = next((i for i in range(j + 1, len(choices)) if i in map_.long), None)
        assert (choice is Choice.BLOCK) == bool({left, right} & set(patched))


def test_naive_is_the_teacher_pruned() -> None:
    member = Composition.of(MAP, "f" * len(MAP.kept))
    assert member.sides == {Side.TEACHER}
    assert [layer.index for layer in member.layers] == list(MAP.kept)


@pytest.mark.parametrize("choices", ["ssbb", "ssbbss", "", "ssbbx", "SSBBS"])
def test_choices_that_do_not_fit(choices: str) -> None:
    with pytest.raises(BadComposition) as caught:
        Composition.of(MAP, choices)
    assert caught.value.value == choices


@pytest.mark.parametrize("patched", [[1], [4], [0, 9], [-1]])
def test_patching_what_has_no_block(patched: list[int]) -> None:
    with pytest.raises(BadComposition):
        Composition.patched(MAP, patched)
