"""Rows of any figures, bars, and several charts on one paper."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.charts.bars import Bar, bars_chart
from boomerang.charts.drawing.series import Series
from boomerang.charts.drawing.theme import PAPER, paper
from boomerang.charts.lines import lines_chart
from boomerang.charts.sheet import sheet
from tests.charts.reading import parsed, texts

ROWS = (
    Series("ours", [(1, 0.5, 0.01), (2, 0.2, None), (4, 0.0, None)]),
    Series("theirs <&>", [(1, 0.9, None), (2, 0.8, None)], 4, dashed=True),
    Series("alone", [(3, 0.3, 0.1)], 7, points=True),
)


def test_rows_are_drawn_and_named() -> None:
    root = parsed(lines_chart(ROWS, title="KL", x_label="bytes", log_y=True))
    assert {"ours", "theirs <&>", "alone", "bytes"} <= set(texts(root))
    paths = {one.attrib["class"]: one.attrib["d"] for one in root.iter("path")}
    # Two places of three: a logarithmic axis has none for zero.
    assert paths["s0"].count("L") == 1
    assert {"s0", "d4", "m7"} <= set(paths)
    assert [one.attrib["class"] for one in root.iter("line")].count("e0") == 1


@given(st.lists(st.tuples(st.floats(), st.floats(), st.none() | st.floats()), max_size=5))
def test_whatever_the_figures_the_drawing_is_whole(
    values: list[tuple[float, float, float | None]],
) -> None:
    for one in parsed(lines_chart([Series("x", values)], title="t", x_label="x")).iter("svg"):
        assert all(
            0 <= float(one.attrib[k].rstrip("%")) <= 100 for k in "xy" if "%" in str(one.get(k))
        )


def test_bars_begin_at_zero() -> None:
    bars = [Bar("a", 1, "1 s", ours=True), Bar("b", 4, "4 s"), Bar("c", math.nan, "–")]
    root = parsed(bars_chart(bars, title="seconds"))
    wide = [float(one.attrib["width"]) for one in root.iter("rect") if one.get("rx")]
    assert wide[1] == pytest.approx(4 * wide[0], abs=0.1)
    assert wide[2] == 1
    assert {"a", "1 s", "–"} <= set(texts(root))
    assert bars_chart([], title="none")


def test_charts_stand_beside_each_other_on_a_sheet() -> None:
    one = lines_chart(ROWS, title="KL", x_label="bytes", theme=paper(300))
    other = bars_chart([Bar("a", 1, "1")], title="s", theme=PAPER)
    root = parsed(sheet([[one, other], [one]], "All"))
    assert root.attrib["width"] == "1020"
    places = [(svg.get("x"), svg.get("y")) for svg in root.findall("svg")]
    assert places[0] == ("0", "40")
    assert places[1] == ("300", "40")
    assert places[2][0] == "0"
    with pytest.raises(ValueError, match="draw it on paper"):
        sheet([[lines_chart(ROWS, title="KL", x_label="bytes")]])
