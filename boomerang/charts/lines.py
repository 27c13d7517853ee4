"""Any figures against any others, many rows of them: frontiers, benchmarks, curves of losses."""

import math
from collections.abc import Sequence

from boomerang.charts.drawing.figures import number
from boomerang.charts.drawing.frame import TOP, Frame, chart
from boomerang.charts.drawing.scales import Scale, scale_of
from boomerang.charts.drawing.series import Series
from boomerang.charts.drawing.svg import at, label, tag, words
from boomerang.charts.drawing.theme import PAGE, SERIES, Theme

HEIGHT = 264
"""Of the field in pixels."""
LINE, LETTER, SAMPLE = 18, 6.6, 34
"""Pixels of a line of the legend, of a letter of it, and of what stands before its words."""
NARROW = 340
"""The width that a legend is laid out for where nobody knows how wide the chart will be."""


def lines_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    said: str = "",
    x_ticks: Sequence[tuple[float, str]] = (),
    log_x: bool | None = False,
    log_y: bool | None = None,
    percent: bool = False,
    theme: Theme = PAGE,
    height: int = HEIGHT,
) -> str:
    """Rows of figures as lines or as markers alone, with a legend above them, as SVG.

    The first lies on top of the others.

    `said` stands beside the title, `x_ticks` are values of x with names of their own. Figures
    that are no numbers are left out, and those that a logarithmic axis has no place for.
    """
    known = [value for row in series for value in row.values if _known(value)]
    x = scale_of([value[0] for value in known], log=log_x, pad=0)
    y = scale_of([value[1] for value in known], log=log_y, pad=0.08)
    width = (theme.width - 40) if theme.width else NARROW
    legend, lines = _legend([row for row in series if row.name], theme, width)
    frame = Frame(x, y, height, theme, TOP + LINE * lines + 4)
    inner = [
        frame.axes(percent_=percent, x_label=x_label, x_ticks=x_ticks),
        *(_row(frame, row) for row in reversed(series)),
    ]
    beside = tag("tspan", words(said), dx=10, **theme("better")) if said else ""
    head = tag("text", words(title), beside, y=16, **theme("title"))
    desc = " ".join(_in_words(row) for row in series if row.name)
    drawn = (head, tag("svg", legend, y=TOP, overflow="visible"), frame.field(*inner))
    return chart(theme, frame.total, "lines", title, desc, *drawn)


def _known(value: tuple[float, float, float | None]) -> bool:
    return math.isfinite(value[0]) and math.isfinite(value[1])


def _placed(scale: Scale, value: float) -> bool:
    return value > 0 or not scale.log


def _look(row: Series) -> int:
    return row.look % len(SERIES)


def _row(frame: Frame, row: Series) -> str:
    theme, look = frame.theme, _look(row)
    shown = [
        value for value in row.values
        if _known(value) and _placed(frame.x, value[0]) and _placed(frame.y, value[1])
    ]  # fmt: skip
    role = f"{'d' if row.dashed else 's'}{look}"
    line = "" if row.points else frame.line([(x, y) for x, y, _ in shown], role)
    errors = [frame.error(x, y, error, f"e{look}") for x, y, error in shown]
    marks = [at(frame.across(x), frame.down(y), _mark(row, theme)) for x, y, _ in shown]
    return "".join([line, *errors, *(marks if row.marks else ())])


def _mark(row: Series, theme: Theme, x: float = 0) -> str:
    look = theme(f"{'o' if row.hollow else 'm'}{_look(row)}")
    if row.points:
        return tag("path", d=f"M{x:g} -5.5l5.5 5.5l-5.5 5.5l-5.5 -5.5z", **look)
    if row.dashed:
        return tag("rect", x=x - 3.5, y=-3.5, width=7, height=7, **look)
    return tag("circle", cx=x, r=6 if row.hollow else 4, **look)


def _legend(series: Sequence[Series], theme: Theme, width: int) -> tuple[str, int]:
    """What each row is called, in as many lines as that takes, and their number."""
    found, x, line = list[str](), 0.0, 0
    for row in series:
        wide = SAMPLE + LETTER * len(row.name) + 18
        if x and x + wide > width:
            x, line = 0.0, line + 1
        look = f"{'d' if row.dashed else 's'}{_look(row)}"
        sample = "" if row.points else tag("path", d="M0 0h26", **theme(look))
        mark = _mark(row, theme, 13) if row.marks else ""
        text = label(row.name, x=SAMPLE, y=4, **theme("said"))
        found.append(
            tag("svg", sample, mark, text, x=x, y=LINE * line + 12, overflow="visible")
        )  # fmt: skip
        x += wide
    return "".join(found), line + 1 if found else 0


def _in_words(row: Series) -> str:
    values = ", ".join(f"{number(y)} at {number(x)}" for x, y, _ in row.values[:24])
    return f"{row.name}: {values}."
