"""From SVG to PNG: sharp, small, and the same bytes twice, in letters of its own."""

import struct

import pytest

from boomerang.charts.drawing.series import PERPLEXITY
from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.quality import quality_chart
from boomerang.charts.raster import png
from tests.charts.test_quality import NAIVE, POINTS


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", picture[16:24])


def test_a_picture_is_the_same_twice_and_twice_as_sharp() -> None:
    svg = quality_chart(POINTS, metric=PERPLEXITY, naive=NAIVE, chosen="1.10B", theme=PAPER)
    made = png(svg)
    assert png(svg) == made
    assert size_of(made) == (1440, 2 * int(svg.split('height="')[1].split('"')[0]))
    assert len(made) < 100_000


def test_letters_are_drawn() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20" '
    drawing += 'font-family="DejaVu Sans"><text y="15"{}>±18.2 %</text></svg>'
    plain, bold = png(drawing.format("")), png(drawing.format(' font-weight="bold"'))
    assert len({plain, bold, png(drawing.replace("±18.2 %", "").format(""))}) == 3


def test_what_is_no_drawing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"."):
        png("no drawing")
