"""The frame of a chart: its axes and grid, and where a value stands within."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boomerang.charts.drawing.figures import tick_labels
from boomerang.charts.drawing.scales import Scale
from boomerang.charts.drawing.svg import at, label, percent, stretched, tag, words
from boomerang.charts.drawing.theme import FONT, Theme

LEFT, RIGHT = 0.12, 0.95
"""Where the values of x begin and end, in shares of the width: left of them stand y's figures."""
TOP, BOTTOM = 30, 42
"""Pixels above and below the field."""
EDGE = 20
"""Pixels of paper that are left free beside a picture."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A field of `height` pixels for values on two scales, drawn in a theme."""

    x: Scale
    y: Scale
    height: int
    theme: Theme
    top: int = TOP

    @property
    def total(self) -> int:
        """Pixels of the whole, with what stands above and below."""
        return self.top + self.height + BOTTOM

    def across(self, value: float) -> float:
        """Where a value of x stands, as a share of the width."""
        return LEFT + (RIGHT - LEFT) * self.x.place(value)

    def down(self, value: float) -> float:
        """Where a value of y stands, as a share of the height from above; what is no number of
        the scale stands at its end.
        """
        return 1 - self.y.place(value)

    def axes(
        self, *, percent_: bool = False, count: int = 5, x_label: str = "",
        x_ticks: Sequence[tuple[float, str]] = (),
    ) -> str:  # fmt: skip
        """Grid, ticks, and what they are called, unless x has names of its own: `x_ticks`."""
        theme, found = self.theme, list[str]()
        ticks = self.y.ticks(count)
        for tick, text in zip(ticks, tick_labels(ticks, percent=percent_), strict=True):
            y = percent(self.down(tick))
            found.append(tag("line", x1="0", x2="100%", y1=y, y2=y, **theme("grid")))
            found.append(at(0, self.down(tick), label(text, y=-5, **theme("tick"))))
        found.append(tag("line", x1="0", x2="100%", y1="100%", y2="100%", **theme("axis")))
        across = self.x.ticks(5)
        for tick, text in x_ticks or zip(across, tick_labels(across), strict=True):
            inner = tag("line", y2=5, **theme("axis"))
            inner += label(text, y=20, text_anchor="middle", **theme("tick"))
            found.append(at(self.across(tick), 1, inner))
        if x_label:
            said = label(x_label, y=38, text_anchor="middle", **theme("said"))
            found.append(at((LEFT + RIGHT) / 2, 1, said))
        return "".join(found)

    def within(self, values: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        """What a line through values joins: those with a place, and where it enters and leaves."""
        shown = [(x, y) for x, y in values if math.isfinite(y) and self.y.takes(y)]
        found = list[tuple[float, float]]()
        for index, (x, y) in enumerate(shown):
            for nx, ny in shown[index - 1 : index] if self._outside(y) == 0 else []:
                found += self._crossing((nx, ny), (x, y))
            if self._outside(y) == 0:
                found.append((x, y))
                for nx, ny in shown[index + 1 : index + 2]:
                    found += self._crossing((nx, ny), (x, y))
        return found

    def _outside(self, y: float) -> int:
        """Whether a value lies below (−1), within (0) or above (1)."""
        return (y > self.y.high) - (y < self.y.low)

    def _crossing(
        self, out: tuple[float, float], within: tuple[float, float]
    ) -> list[tuple[float, float]]:
        """Where a line from within to what lies outside meets the edge."""
        if not (side := self._outside(out[1])):
            return []
        edge = self.y.high if side > 0 else self.y.low
        start, end = self.y.beyond(within[1]), self.y.beyond(out[1])
        part = (self.y.beyond(edge) - start) / (end - start)
        return [(within[0] + (out[0] - within[0]) * part, edge)]

    def line(self, values: Sequence[tuple[float, float]], role: str) -> str:
        """A line through values that are numbers, in their order."""
        return self._drawn([self._path(values)], role) if len(values) > 1 else ""

    def area(
        self, above: Sequence[tuple[float, float]], below: Sequence[tuple[float, float]], role: str
    ) -> str:
        """What lies between two lines over the same stretch of x."""
        if len(above) < 2 or len(below) < 2:
            return ""
        back = self._path([*reversed(below)]).replace("M", "L", 1)
        return self._drawn([self._path(above) + back + "z"], role)

    def error(self, x: float, value: float, error: float | None, role: str) -> str:
        """An interval around a value: ± its standard error, within the field."""
        if not error or not math.isfinite(error) or not math.isfinite(value):
            return ""
        ends = (percent(self.down(value - error)), percent(self.down(value + error)))
        here = percent(self.across(x))
        return tag("line", x1=here, x2=here, y1=ends[0], y2=ends[1], **self.theme(role))

    def errors(self, values: Sequence[tuple[float, float, float | None]], role: str) -> str:
        """`error` of many (x, value, error); on a page in one path, as each weighs its kilobyte
        in the curve of a deep teacher.
        """
        if not self.theme.interactive:
            return "".join(self.error(*one, role) for one in values)
        known = [(x, v, e) for x, v, e in values if e and math.isfinite(e) and math.isfinite(v)]
        path = "".join(self._path([(x, v - e), (x, v + e)]) for x, v, e in known)
        return self._drawn([path], role) if path else ""

    def field(self, *inner: str) -> str:
        """The field itself, below what stands above it."""
        return tag("svg", *inner, y=self.top, width="100%", height=self.height, overflow="visible")

    def _path(self, values: Iterable[tuple[float, float]]) -> str:
        wide, high = self.theme.drawn, self.height
        places = [(wide * self.across(x), high * self.down(y)) for x, y in values]
        return "M" + "L".join(f"{x:.1f} {y:.1f}".replace(".0", "") for x, y in places)

    def _drawn(self, paths: Iterable[str], role: str) -> str:
        inner = [
            tag("path", d=path, vector_effect="non-scaling-stroke", **self.theme(role))
            for path in paths
        ]
        return stretched(self.theme.drawn, self.height, *inner)


def chart(
    theme: Theme, height: int, kind: str, name: str, desc: str, *inner: str, links: bool = False
) -> str:
    """A whole drawing, `height` pixels high.

    `name` and `desc` say it in words, for who cannot see it. What has links within is a group and
    not an image, as nobody would find links in an image (WAI-ARIA 1.2, presentational children).
    """
    said = {"role": "group" if links else "img", "aria_label": name}
    body = "".join((tag("desc", words(desc)) if desc else "", *inner))
    if theme.paints is None:
        space = {"class_": f"chart {kind}", "width": "100%", "height": height}
        # Its style sheet says this of all within; of a deep teacher's sizes it is kilobytes.
        return tag("svg", body.replace(' overflow="visible"', ""), **space, **said)
    wide = theme.width or 0
    paper = tag("rect", width="100%", height="100%", **theme("paper"))
    inner_ = tag("svg", body, x=EDGE, y=EDGE // 2, width=wide - 2 * EDGE, overflow="visible")
    return tag(
        "svg", paper, inner_, xmlns="http://www.w3.org/2000/svg", width=wide,
        height=height + EDGE, font_family=FONT, **said,
    )  # fmt: skip
