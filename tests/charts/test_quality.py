"""The curve of a family: every size where it belongs, named, and leading to its page."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boomerang.charts.drawing.series import (
    AGREEMENT,
    KL,
    METRICS,
    PERPLEXITY,
    Metric,
    Point,
    dips,
    task_metric,
)
from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.quality import HEIGHT, quality_chart
from tests.charts.reading import parsed, points, texts

POINTS = (
    Point("1.00B", 1_000_000_000, 2_000_000_000, 20.5, 0.2, "student", url="?size=1.00B"),
    Point("1.10B", 1_100_000_000, 2_200_000_000, 18.25, 0.1, url="?size=1.10B"),
    Point("1.20B", 1_200_000_000, 2_400_000_000, 19.0, 0.1, url="?size=1.20B"),
    Point("1.30B", 1_300_000_000, 2_600_000_000, 12.0, 0.1, "teacher", url="?size=1.30B"),
)
NAIVE = tuple(replace(p, value=v) for p, v in zip(POINTS, (99.0, 60.0, 40.0), strict=False))
PLACES = {"x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "d"}
FITS = (("2 GB", 1.15e9), ("8 GB", 4e9))


def test_sizes_stand_by_parameters_and_value() -> None:
    placed = points(parsed(quality_chart(POINTS, metric=PERPLEXITY)))
    assert list(placed) == [point.name for point in POINTS]
    across = [x for x, _ in placed.values()]
    assert across == pytest.approx([12, 39.67, 67.33, 95], abs=0.01)
    # Down the page is better here, as less is.
    order = sorted(placed, key=lambda name: -placed[name][1])
    assert order == ["1.30B", "1.10B", "1.20B", "1.00B"]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**15),
            st.none() | st.floats(),
            st.none() | st.floats(),
            st.none() | st.floats(),
        ),
        max_size=6,
    ),
    st.sampled_from([*METRICS.values(), task_metric("task", "acc", values=[0.5])]),
    st.lists(st.floats(allow_nan=False), max_size=3),
)
def test_whatever_the_figures_all_of_them_are_within(
    figures: list[tuple[int, float | None, float | None, float | None]],
    metric: Metric,
    fits: list[float],
) -> None:
    found = [Point(f"{i}", p, p, v, e) for i, (p, v, e, _) in enumerate(figures)]
    naive = [Point(f"{i}", p, p, v) for i, (p, _, _, v) in enumerate(figures)]
    bands = [(f"{most} GB", most) for most in sorted(fits)]
    for theme in ({}, {"theme": PAPER}):
        svg = quality_chart(found, metric=metric, naive=naive, fits=bands, chosen="0", **theme)
        if not svg:
            assert all(v is None or v != v for _, v, _, _ in figures)
            continue
        placed = points(parsed(svg))
        assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in placed.values())
        for one in parsed(svg).iter():
            drawn = {k: v for k, v in one.attrib.items() if k in PLACES}
            assert not any("nan" in v or "inf" in v for v in drawn.values()), drawn


def test_what_was_not_measured_is_left_out() -> None:
    shown = parsed(quality_chart((*POINTS, Point("2B", 2, 2, None)), metric=KL))
    assert "2B" not in points(shown)
    assert quality_chart((), metric=KL) == quality_chart([Point("x", 1, 1, None)], metric=KL) == ""


def test_points_are_links_with_what_is_known_of_them() -> None:
    root = parsed(quality_chart(POINTS, metric=PERPLEXITY, naive=NAIVE, chosen="1.10B"))
    links = {one.attrib["href"]: one.findtext("title") for one in root.iter("a")}
    assert links["?size=1.10B"] == (
        "1.10B: perplexity 18.25\u00a0±\u00a00.10; naive pruning 60.00\u00a0±\u00a00.10; "
        "1,100,000,000 parameters"
    )
    assert links["?size=1.00B"].startswith("1.00B (student): perplexity 20.50\u00a0±\u00a00.20")
    # A group: links in what is called an image are not found.
    assert root.attrib["role"] == "group"
    plain = [replace(point, url=None) for point in POINTS]
    image = parsed(quality_chart(plain, metric=PERPLEXITY))
    assert image.attrib["role"] == "img"
    assert "1.30B (teacher): perplexity 12.00" in (image.findtext("desc") or "")


def test_one_size_is_chosen_and_dips_are_told() -> None:
    assert dips(POINTS, PERPLEXITY) == {"1.20B"}
    assert dips([replace(p, error=1.0) for p in POINTS], PERPLEXITY) == set()
    assert dips(POINTS, replace(PERPLEXITY, higher=True)) == {"1.10B", "1.20B", "1.30B"}
    marked = [replace(p, dip=p.name == "1.20B") for p in POINTS]
    svg = quality_chart(marked, metric=PERPLEXITY, chosen="1.10B")
    chosen = [one for one in parsed(svg).iter("svg") if "chosen" in one.get("class", "")]
    assert [one.attrib["data-size"] for one in chosen] == ["1.10B"]
    assert "worse than a smaller size" in svg


def test_what_fits_is_shaded_and_named() -> None:
    root = parsed(quality_chart(POINTS, metric=PERPLEXITY, fits=FITS))
    assert {"fits 2 GB", "fits 8 GB"} <= set(texts(root))
    edges = [one for one in root.iter("line") if one.get("class") == "edge"]
    assert [one.attrib["x1"] for one in edges] == ["53.5%"]
    assert not any("fits" in text for text in texts(parsed(quality_chart(POINTS, metric=KL))))


def test_zero_stands_on_the_axis_of_a_logarithmic_scale_and_no_line_leads_there() -> None:
    values = (0.5, 0.2, 0.05, 0.0)
    found = [replace(p, value=v) for p, v in zip(POINTS, values, strict=True)]
    root = parsed(quality_chart(found, metric=KL))
    assert points(root)["1.30B"][1] == 100
    [line] = [one for one in root.iter("path") if one.get("class") == "curve"]
    assert line.attrib["d"].count("L") == 2


def test_errors_are_intervals() -> None:
    root = parsed(quality_chart(POINTS, metric=PERPLEXITY))
    [drawn] = [one.attrib["d"] for one in root.iter("path") if one.get("class") == "error"]
    bars = [
        [tuple(map(float, end.split())) for end in bar.split("L")] for bar in drawn.split("M")[1:]
    ]
    assert len(bars) == len(POINTS)
    # Of a field of 1000 by HEIGHT.
    for [(left, low), (right, high)], (x, y) in zip(bars, points(root).values(), strict=True):
        assert left == right == pytest.approx(10 * x, abs=0.1)
        assert high < y * HEIGHT / 100 < low
    on_paper = parsed(quality_chart(POINTS, metric=PERPLEXITY, theme=PAPER))
    assert sum(one.tag.endswith("line") for one in on_paper.iter()) >= len(POINTS)


def test_of_very_many_sizes_naive_pruning_is_a_line_without_marks() -> None:
    many = [replace(POINTS[0], name=f"{k}", parameters=10**9 + k * 10**7) for k in range(64)]
    naive = [replace(one, value=30.0 - k / 10) for k, one in enumerate(many)]
    for count, marks in ((40, 40), (64, 0)):
        svg = quality_chart(many[:count], metric=PERPLEXITY, naive=naive[:count])
        found = [one.get("class") for one in parsed(svg).iter()]
        assert found.count("other") == marks
        assert found.count("naive") == 1
        assert svg.count("naive pruning 2") > 0
        named = quality_chart(many[:count], metric=PERPLEXITY, chosen="7").count('class="strong"')
        assert named == (count if marks else 1)


def test_names_are_text_and_nothing_else() -> None:
    name = "<b>&\"'\x00</b>"
    found = [replace(POINTS[0], name=name, url='?a="&b=<'), *POINTS[1:]]
    svg = quality_chart(found, metric=replace(PERPLEXITY, name="<script>"), chosen=name)
    root = parsed(svg)
    assert "<b>&\"'\ufffd</b>" in points(root)
    assert next(root.iter("a")).tag == "a"
    assert "<script" not in svg


def test_the_same_facts_are_the_same_drawing() -> None:
    once = quality_chart(POINTS, metric=AGREEMENT, naive=NAIVE, fits=FITS, theme=PAPER)
    assert once == quality_chart(POINTS, metric=AGREEMENT, naive=NAIVE, fits=FITS, theme=PAPER)
    assert "class=" not in once
    assert "style=" not in quality_chart(POINTS, metric=AGREEMENT, naive=NAIVE, fits=FITS)


def test_pruning_that_is_worse_by_thousands_leaves_the_family_its_shape() -> None:
    values = (9e4, 800.0, 40.0)
    naive = [replace(p, value=v, error=None) for p, v in zip(POINTS, values, strict=False)]
    root = parsed(quality_chart(POINTS, metric=PERPLEXITY, naive=naive))
    worst, best = points(root)["1.00B"][1], points(root)["1.30B"][1]
    assert best - worst > 15
    # Two of the three are arrows at the edge; the line enters between the second and the third.
    assert [one.attrib["class"] for one in root.iter("path")].count("other") == 2
    [line] = [one.attrib["d"] for one in root.iter("path") if one.get("class") == "naive"]
    (x, y), (to, _) = (map(float, p.split()) for p in line[1:].split("L"))
    assert y == 0
    assert points(root)["1.10B"][0] < x / 10 < to / 10
    assert "naive pruning 90,000" in "".join(one.text or "" for one in root.iter("title"))
