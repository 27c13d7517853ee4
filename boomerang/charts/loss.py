"""The loss of a distillation against its steps, while it runs and after."""

import math
from collections.abc import Sequence

from boomerang.charts.drawing.figures import number
from boomerang.charts.drawing.frame import Frame, chart
from boomerang.charts.drawing.scales import scale_of
from boomerang.charts.drawing.svg import at, label, tag
from boomerang.charts.drawing.theme import PAGE, Theme

HEIGHT = 190
"""Of the field in pixels."""
MOST = 120
"""Places along x: of more steps, each place shows its least and its greatest loss."""
CALM = 6
"""Over as many values to each side the smooth line is taken."""


def loss_chart(
    steps: Sequence[tuple[int, float]],
    *,
    total: int | None = None,
    name: str = "loss",
    theme: Theme = PAGE,
    height: int = HEIGHT,
) -> str:
    """Losses by step, as SVG; the newest is named. "" without a loss that is a number.

    With `total`, the number of steps there will be, x runs to it: what is left stays empty.
    """
    known = sorted((step, loss) for step, loss in steps if math.isfinite(loss))
    if not known:
        return ""
    drawn = thinned(known)
    end = max(known[-1][0], total or 0)
    frame = Frame(
        scale_of([min(known[0][0], 0 if total else known[0][0]), end], log=False, pad=0),
        scale_of([loss for _, loss in drawn], pad=0.12),
        height,
        theme,
    )
    last = known[-1]
    x = frame.across(last[0])
    text = label(
        number(last[1]), x=-10 if x > 0.85 else 10, y=-10,
        text_anchor="end" if x > 0.85 else "start", **theme("strong"),
    )  # fmt: skip
    smooth = smoothed(drawn) if len(drawn) > 6 * CALM else []
    inner = [
        frame.axes(count=4, x_label="steps"),
        frame.line(drawn, "raw" if smooth else "curve"),
        frame.line(smooth, "curve"),
        at(x, frame.down(last[1]), tag("circle", r=4.5, **theme("dot")), text),
    ]
    first = known[0]
    desc = f"From {number(first[1])} at step {first[0]:,} to {number(last[1])} at step {last[0]:,}."
    title = label(f"{name}{' (log)' if frame.y.log else ''}", y=16, **theme("title"))
    return chart(theme, frame.total, "loss", f"{name} by step", desc, title, frame.field(*inner))


def thinned(values: Sequence[tuple[int, float]], most: int = MOST) -> list[tuple[int, float]]:
    """As many as are seen: of every bucket the least and the greatest, so that no spike is lost.

    The first and the last stay. At most 2 · `most` of them come back.
    """
    if len(values) <= 2 * most:
        return list(values)
    found = dict.fromkeys([values[0]])
    inner, buckets = values[1:-1], most - 1
    for bucket in range(buckets):
        part = inner[len(inner) * bucket // buckets : len(inner) * (bucket + 1) // buckets]
        found |= dict.fromkeys(sorted({min(part, key=_loss), max(part, key=_loss)}))
    return list(found | dict.fromkeys([values[-1]]))


def smoothed(values: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """The mean around every second value, over fewer at the ends, so that it lags behind none."""
    found = list[tuple[float, float]]()
    for index in (*range(0, len(values) - 1, 2), len(values) - 1):
        wide = min(CALM, index, len(values) - 1 - index)
        around = [loss for _, loss in values[index - wide : index + wide + 1]]
        found.append((float(values[index][0]), math.fsum(around) / len(around)))
    return found


def _loss(value: tuple[int, float]) -> float:
    return value[1]
