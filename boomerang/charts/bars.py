"""Figures of a few contenders as bars, from zero, so that twice as long is twice as much."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from boomerang.charts.drawing.frame import chart
from boomerang.charts.drawing.svg import label, tag, words
from boomerang.charts.drawing.theme import PAPER, Theme

ROW, BAR = 27, 17
"""Pixels from one bar to the next, and of a bar."""
TOP, FIGURE, LETTER = 34, 64, 6.7
"""Pixels above the bars, right of the longest, and of a letter of the names."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One contender: its name, its figure, how that is written; `ours` are in the accent."""

    name: str
    value: float
    text: str
    ours: bool = False


def bars_chart(bars: Sequence[Bar], *, title: str, said: str = "", theme: Theme = PAPER) -> str:
    """Horizontal bars of values that are not negative, names on their left, as SVG.

    `said` stands beside the title. Only on paper, whose width is known.
    """
    width = (theme.width or 720) - 40
    names = min(0.55 * width, LETTER * max((len(bar.name) for bar in bars), default=0) + 12)
    most = max((bar.value for bar in bars if math.isfinite(bar.value)), default=0.0) or 1.0
    found = list[str]()
    for at, bar in enumerate(bars):
        # What is no number has no length.
        share = min(1.0, max(0.0, bar.value / most)) if math.isfinite(bar.value) else 0.0
        long, y = max(1.0, share * (width - names - FIGURE)), TOP + at * ROW
        role, strong = ("bar0", "strong") if bar.ours else ("bar1", "said")
        name = {"x": names - 12, "y": y + BAR - 4, "text_anchor": "end"}
        found += [
            label(bar.name, **name, **theme("said")),
            tag("rect", x=names, y=y, width=long, height=BAR, rx=2, **theme(role)),
            label(bar.text, x=names + long + 7, y=y + BAR - 4, **theme(strong)),
        ]
    beside = tag("tspan", words(said), dx=10, **theme("better")) if said else ""
    head = tag("text", words(title), beside, y=16, **theme("title"))
    height = TOP + ROW * len(bars)
    desc = " ".join(f"{bar.name}: {bar.text}." for bar in bars)
    return chart(theme, height, "bars", title, desc, head, *found)
