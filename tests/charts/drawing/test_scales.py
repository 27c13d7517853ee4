"""Scales have a place within the frame for every value, and ticks that are round and few."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.charts.drawing.figures import tick_labels
from boomerang.charts.drawing.scales import Scale, scale_of

ANY = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(ANY, max_size=8), ANY)
def test_every_value_is_placed_within(values: list[float], other: float) -> None:
    scale = scale_of(values)
    for value in (*values, other):
        assert 0 <= scale.place(value) <= 1


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=8))
def test_larger_values_stand_higher(values: list[float]) -> None:
    scale = scale_of(values)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)


@given(st.lists(FINITE, max_size=6), st.integers(1, 8))
def test_ticks_are_few_increasing_and_within(values: list[float], most: int) -> None:
    scale = scale_of(values)
    ticks = scale.ticks(most)
    assert len(ticks) <= most + 1
    assert list(ticks) == sorted(set(ticks))
    assert all(scale.low <= tick <= scale.high for tick in ticks)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_can_be_told_apart_by_what_they_say(low: float, span: float) -> None:
    ticks = Scale(low, low + span).ticks()
    assert len(ticks) >= 2
    assert len(set(tick_labels(ticks))) == len(ticks)


def test_ticks_are_round() -> None:
    assert Scale(0.13, 0.97).ticks() == (0.2, 0.4, 0.6, 0.8)
    assert Scale(9, 1100, log=True).ticks() == (10, 30, 100, 300, 1000)
    assert tick_labels((2.5e9, 3e9, 3.5e9)) == ("2.5B", "3B", "3.5B")
    assert tick_labels((0.05, 0.1, 0.2)) == ("0.05", "0.1", "0.2")
    assert tick_labels((0.6, 0.65), percent=True) == ("60 %", "65 %")


@pytest.mark.parametrize(
    ("values", "log"),
    [((1, 3.9), False), ((1, 4.1), True), ((0, 1, 5), True), ((-1, 1, 50), False), ((), False)],
)
def test_a_scale_is_logarithmic_where_values_differ_by_factors(
    values: tuple[float, ...], log: bool
) -> None:
    assert scale_of(values).log is log


def test_a_scale_knows_the_bounds_of_its_quantity() -> None:
    scale = scale_of([0.7, 0.99], within=(0, 1))
    assert scale.high == 1
    assert scale.low < 0.7
    assert math.isclose(scale_of([0, 10], pad=0).high, 10)
