"""Ladder and Budget: every member counted exactly, named apart, and found by what one can pay."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.assembly.stitch import place
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import (
    BadBudget,
    BadComposition,
    BudgetOutOfRange,
    SizeNotFound,
    StudentMismatch,
)
from boomerang.family.budget import Budget
from boomerang.family.composition import Composition, first_to_last, last_to_first
from boomerang.family.ladder import Ladder, Member, _named, short_count
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from tests.support.models import Duo, duo


@pytest.fixture(scope="module", params=["llama", "qwen3-tied", "gpt2", "gpt_neox"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Duo:
    return duo(tmp_path_factory.mktemp("duo"), request.param)


@pytest.fixture(scope="module")
def ladder(made: Duo) -> Ladder:
    pair = made.pair
    return Ladder.of(pair, last_to_first(pair.layermap))


def test_counts_are_those_of_the_tensors_and_of_torch(made: Duo) -> None:
    for order in (last_to_first, first_to_last):
        pair = made.pair
        members = Ladder.of(pair, order(pair.layermap)).members
        for member in members:
            placed = place(pair, member.composition)
            assert member.parameters == sum(item.tensor.parameters for item in placed)
            assert member.bytes == sum(item.size for item in placed)
        assert members[0].parameters == made.student.num_parameters()
        assert members[-1].parameters == made.teacher.num_parameters()
        assert [m.parameters for m in members] == sorted({m.parameters for m in members})


def test_a_plan_is_what_the_family_will_be(made: Duo) -> None:
    """From the teacher's headers alone, the same ladder as from the finished pair."""
    teacher = Checkpoint.open(made.teacher_folder)
    planned = Pair.planned(teacher, LayerMap(made.kept, 8), frozen=False)
    for order in (last_to_first, first_to_last):
        patch_order = order(planned.layermap)
        assert Ladder.of(planned, patch_order) == Ladder.of(made.pair, patch_order)
    with pytest.raises(StudentMismatch):
        Pair.planned(teacher, LayerMap.published(12), frozen=False)


def test_untied_members_as_large_as_the_teacher_are_left_out(tmp_path: Path) -> None:
    loose = duo(tmp_path / "loose", "llama-tied", vocab_size=512).pair
    frozen = duo(tmp_path / "frozen", "llama-tied", vocab_size=512, frozen=True).pair
    order = last_to_first(loose.layermap)
    assert [m.k for m in Ladder.of(loose, order).members] == [0, 3]
    assert [m.k for m in Ladder.of(frozen, order).members] == [0, 1, 2, 3]
    assert all(member.tied for member in Ladder.of(frozen, order).members)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_within_is_monotone_and_keeps_to_the_budget(ladder: Ladder, a: int, b: int) -> None:
    def size(budget: int) -> int:
        try:
            member = ladder.buy(budget).member
        except BudgetOutOfRange:
            assert budget < ladder.student.parameters
            return 0
        assert member.parameters <= budget
        better = [m for m in ladder.members if member.parameters < m.parameters <= budget]
        assert better == []
        return member.parameters

    low, high = sorted((a, b))
    assert size(low) <= size(high)


def test_names_are_unique_and_find_their_member(ladder: Ladder) -> None:
    names = {member.size.casefold() for member in ladder.members}
    assert len(names) == len(ladder.members)
    for member in ladder.members:
        assert ladder.resolve(member.size) is member
        assert ladder.resolve(member.size.lower()) is member
        assert ladder.resolve(str(member.parameters)) is member
    assert ladder.resolve("1T") is ladder.teacher
    with pytest.raises(SizeNotFound) as caught:
        ladder.resolve("../etc")
    assert ladder.student.size in caught.value.fix
    with pytest.raises(BudgetOutOfRange) as out:
        ladder.resolve("1")
    assert ladder.teacher.size in out.value.fix


@given(st.lists(st.integers(1, 10**13), min_size=2, max_size=12), st.booleans())
def test_any_counts_get_names_of_their_own(counts: list[int], close: bool) -> None:
    """As the ladder names them: close counts get more digits, equal ones a digest."""
    counts = [counts[0] + i % 7 for i in range(len(counts))] if close else counts
    map_ = LayerMap(tuple(range(0, 2 * len(counts), 2)), 2 * len(counts))
    members = [
        Member("", k, Composition.patched(map_, map_.long[:k]), count, 0, 0, False)
        for k, count in enumerate(counts)
    ]
    named = list(_named(members))
    assert len({member.size.casefold() for member in named}) == len(members)
    assert [member.parameters for member in named] == counts


@pytest.mark.parametrize("order", [[0], [0, 2], [0, 2, 3, 3], [1, 2, 3], [0, 2, 4], [3, 3, 0]])
def test_an_order_that_is_no_permutation(made: Duo, order: list[int]) -> None:
    with pytest.raises(BadComposition):
        Ladder.of(made.pair, order)


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (2_912_229_120, "2.91B"), (912_000, "912K"), (999_999, "1.00M"), (1_000_000, "1.00M"),
        (999_499, "999K"), (10_500, "10.5K"), (7, "7"), (999, "999"), (405_853_388_800, "406B"),
        (1_000_000_000_000, "1.00T"), (4_022_468_096, "4.02B"), (100_000_000, "100M"),
    ],
)  # fmt: skip
def test_names_of_counts(count: int, name: str) -> None:
    assert short_count(count) == name


@pytest.mark.parametrize(
    ("value", "parameters"),
    [
        ("2.9B", 2_900_000_000), ("2.9b", 2_900_000_000), (" 2.9 B ", 2_900_000_000),
        (2_900_000_000, 2_900_000_000), (2.9e9, 2_900_000_000), ("1.5G", 1_500_000_000),
        ("700M", 700_000_000), ("12K", 12_000), ("1T", 10**12), ("400", 400),
        ({"params": "2.9B"}, 2_900_000_000), ({"params": 5}, 5),
        ({"memory": "6GB"}, 3_000_000_000),
        ({"memory": "6GB", "dtype": "float32"}, 1_500_000_000),
        ({"memory": "6GiB", "dtype": "int8"}, 6 << 30),
        ("6GB", 3_000_000_000), (" 6 gb ", 3_000_000_000), ("1.5MiB", 3 << 18),
        ("6GB:float32", 1_500_000_000), ("6GB in int8", 6_000_000_000), ("6GiB : int8", 6 << 30),
    ],
)  # fmt: skip
def test_budgets(value: object, parameters: int) -> None:
    assert Budget.parse(value).parameters == parameters


GARBAGE = [
    "", "B", "-1B", "1e9", "2.9X", "2.9 B B", "1,000", "NaN", "inf", "0", "0.0B", "0.1", "2..9B",
    "..", "../2.9B", 0, -5, True, None, [], ["2.9B"], {}, {"params": {}}, {"params": True},
    {"memory": 6}, {"memory": "6GB", "dtype": "float3"}, {"memory": "6GB", "x": 1}, {"x": 1},
    "6GB:", "6GB:float3", "6GBin int8", "6GB int8", "6.GB", "..GB", "0GB", {"params": "6GB"},
    {"memory": "6GB:int8"}, {"params": "1B", "memory": "6GB"}, float("nan"), float("inf"), 1e300,
    10**5000, -(10**5000), "9" * 5000, {"params": 10**5000}, {"memory": "6GB", "dtype": [1]},
    b"2.9B",
]  # fmt: skip


@pytest.mark.parametrize("value", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_budget(value: object) -> None:
    with pytest.raises(BadBudget) as caught:
        Budget.parse(value)
    assert caught.value.fix
    assert str(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["params", "memory", "dtype"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=6,
)
almost = st.from_regex(
    r"\s?[0-9]{0,25}\.?[0-9]{0,25}\s?[KMGTBkmgtbi]{0,4}(\s?:?(in )?(int8|float32))?\s?",
    fullmatch=True,
)


@given(anything | almost | st.builds(lambda text: {"memory": text}, almost))
def test_anything_is_a_budget_or_a_bad_one(value: object) -> None:
    try:
        budget = Budget.parse(value)
    except BadBudget:
        return
    if not isinstance(value, dict):
        assert budget.parameters >= 1
    # The service keeps the text, and reads it again once the family is measured.
    if isinstance(value, str):
        assert Budget.parse(budget.text).parameters == budget.parameters
