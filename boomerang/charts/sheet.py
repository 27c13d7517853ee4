"""Several charts on one paper."""

import re
from collections.abc import Sequence

from boomerang.charts.drawing.svg import label, tag
from boomerang.charts.drawing.theme import FONT, PAPER

_SIZE = re.compile(r'<svg[^>]*? width="(\d+)" height="(\d+)"')
TITLE = 40
"""Pixels that a title above all of them takes."""


def sheet(rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Charts drawn on paper, beside each other in rows, with a title above them.

    Raises ValueError for a chart that has no size of its own, as those of pages have none.
    """
    found, y, wide = list[str](), TITLE if title else 0, 0
    for row in rows:
        x = high = 0
        for drawing in row:
            size = _SIZE.match(drawing)
            if size is None:
                raise ValueError("A chart has no width and height: draw it on paper.")
            found.append(tag("svg", drawing, x=x, y=y))
            x, high = x + int(size[1]), max(high, int(size[2]))
        y, wide = y + high, max(wide, x)
    head = PAPER("title") | {"font_size": "15"}
    said = label(title, x=20, y=28, **head) if title else ""
    paper = tag("rect", width="100%", height="100%", **PAPER("paper"))
    space = {"width": wide, "height": y}
    space_of_names = {"xmlns": "http://www.w3.org/2000/svg"}
    return tag("svg", paper, said, *found, **space_of_names, **space, font_family=FONT)
