"""A curve so small that it stands in a card: its course, and no figure."""

import math
from collections.abc import Sequence

from boomerang.charts.drawing.scales import scale_of
from boomerang.charts.drawing.series import PERPLEXITY, Metric, Point, measured
from boomerang.charts.drawing.svg import short, tag
from boomerang.charts.drawing.theme import FONT, PAGE, Theme

WIDTH, HEIGHT, ROOM = 160, 40, 5
"""Of the drawing in pixels, and what is left free at its edges for markers."""


def spark(points: Sequence[Point], theme: Theme = PAGE, *, metric: Metric = PERPLEXITY) -> str:
    """The curve of a family from its student to its teacher, 160 × 40, on a scale of its own.

    "" where less than two sizes have a figure.
    """
    curve = [(p, v) for p, v in measured(points) if math.isfinite(v)]
    if len(curve) < 2:
        return ""
    across = scale_of([p.parameters for p, _ in curve], log=False, pad=0)
    upward = scale_of([v for _, v in curve], pad=0)

    def place(point: Point, value: float) -> tuple[float, float]:
        x = ROOM + (WIDTH - 2 * ROOM) * across.place(point.parameters)
        return x, ROOM + (HEIGHT - 2 * ROOM) * (1 - upward.place(value))

    ours = [place(p, v) for p, v in curve]
    foot = f"L{short(ours[-1][0])} {HEIGHT}L{short(ours[0][0])} {HEIGHT}z"
    inner = [tag("path", d=_path(ours) + foot, **theme("gain"))]
    inner.append(tag("path", d=_path(ours), **theme("curve")))
    for x, y in (ours[0], ours[-1]):
        inner.append(tag("circle", cx=x, cy=y, r=3, **theme("dot")))
    first, last = curve[0], curve[-1]
    said = (
        f"{metric.name} from {metric.tick(first[1])} at {first[0].name} to "
        f"{metric.tick(last[1])} at {last[0].name}"
    )
    frame = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "width": WIDTH, "height": HEIGHT}
    looks = (
        {"class_": "chart spark"}
        if theme.paints is None
        else {"xmlns": "http://www.w3.org/2000/svg", "font_family": FONT}
    )
    return tag("svg", *inner, **looks, **frame, role="img", aria_label=said)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in places)
