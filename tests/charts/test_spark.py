"""The small curve of a card."""

from boomerang.charts.drawing.series import Point
from boomerang.charts.spark import HEIGHT, WIDTH, spark
from tests.charts.reading import parsed
from tests.charts.test_quality import POINTS


def test_a_curve_is_drawn_from_its_student_to_its_teacher() -> None:
    root = parsed(spark(POINTS))
    ends = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter("circle")]
    (left, above), (right, below) = ends
    assert 0 < left < right < WIDTH
    assert 0 < above < below < HEIGHT
    assert root.attrib["aria-label"] == "perplexity from 20.5 at 1.00B to 12 at 1.30B"
    assert len(spark(POINTS)) < 1000


def test_there_is_no_curve_of_one_figure() -> None:
    assert spark(()) == spark(POINTS[:1]) == ""
    assert spark([POINTS[0], Point("x", 1, 1, None), Point("y", 1, 1, float("inf"))]) == ""
