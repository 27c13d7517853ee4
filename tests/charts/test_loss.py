"""Losses while they come: as many places as are seen, no spike lost, and the newest named."""

import math

from hypothesis import given
from hypothesis import strategies as st

from boomerang.charts.loss import MOST, loss_chart, smoothed, thinned
from tests.charts.reading import parsed, texts


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=3000), st.integers(3, 200))
def test_thinning_keeps_ends_spikes_and_order(losses: list[float], most: int) -> None:
    values = list(enumerate(losses))
    kept = thinned(values, most)
    assert len(kept) <= 2 * most
    assert kept == sorted(set(kept))
    assert set(kept) <= set(values)
    assert (kept[0], kept[-1]) == (values[0], values[-1])
    assert max(loss for _, loss in kept) == max(losses)
    assert min(loss for _, loss in kept) == min(losses)


def test_a_smooth_line_ends_where_the_losses_do() -> None:
    line = smoothed([(step, 100.0 - step) for step in range(100)])
    assert (line[0], line[-1]) == ((0, 100.0), (99, 1.0))
    # The mean around a place on a straight line is on it, so nothing lags behind.
    assert all(math.isclose(loss, 100 - step) for step, loss in line)


def test_the_newest_loss_is_named_and_what_is_left_stays_empty() -> None:
    root = parsed(loss_chart([(0, 9.0), (50, 3.0), (100, 2.5)], total=200))
    assert "2.5" in texts(root)
    [dot] = [one for one in root.iter("svg") if one.find("circle") is not None]
    assert dot.attrib["x"] == "53.5%"
    assert root.findtext("desc") == "From 9 at step 0 to 2.5 at step 100."


def test_a_long_run_is_few_bytes() -> None:
    values = [(step, 2 + 8 / (1 + step / 100) + (step % 7) / 10) for step in range(20 * MOST)]
    assert len(loss_chart(values)) < 8000


def test_losses_that_are_no_numbers_are_left_out() -> None:
    assert loss_chart([]) == loss_chart([(1, math.nan), (2, math.inf)]) == ""
    assert "nan" not in loss_chart([(1, math.nan), (2, 3.0)])
