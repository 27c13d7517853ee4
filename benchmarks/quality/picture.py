"""The figures as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.quality.family import (
    APART,
    AUTO,
    FIRST,
    KLPATCH,
    LAST,
    NAIVE,
    NAIVE_BEST,
    SHORTGPT,
    Found,
)
from benchmarks.quality.paired import Estimate
from benchmarks.quality.report import SHOWN, difference, has, kl
from boomerang.charts.drawing.figures import large
from boomerang.charts.drawing.series import Series
from boomerang.charts.drawing.theme import paper
from boomerang.charts.lines import lines_chart
from boomerang.charts.raster import png
from boomerang.charts.sheet import sheet

_LOOKS: Mapping[str, Series] = {
    AUTO: Series(AUTO, (), 0),
    KLPATCH: Series(KLPATCH, (), 3, hollow=True),
    LAST: Series(LAST, (), 2),
    FIRST: Series(FIRST, (), 5, hollow=True),
    NAIVE_BEST: Series(NAIVE_BEST, (), 1, dashed=True),
    NAIVE: Series(NAIVE, (), 6, dashed=True),
    SHORTGPT: Series(SHORTGPT, (), 4, dashed=True),
    APART: Series(APART, (), 7, points=True),
}
"""How each is drawn: orders that agree are rings around each other."""


def picture(found: Sequence[Found], path: Path, title: str) -> None:
    """Quality against stored parameters, and how each order differs from `auto`."""
    depths = sorted(found[0].series[LAST])
    parameters = {depth: float(found[0].parameters[depth]) for depth in depths}
    left = [
        _series(name, parameters, {d: kl(found, name, d) for d in depths[:-1]
                                   if has(found, name, d)})
        for name in SHOWN
    ]  # fmt: skip
    right = [Series(AUTO, [(parameters[d], 0.0, None) for d in depths[:-1]], 0, marks=False)]
    for name in (KLPATCH, LAST, FIRST, APART):
        inner = [depth for depth in depths[1:-1] if has(found, name, depth)]
        minus = {depth: difference(found, name, depth) for depth in inner}
        more = {depth: Estimate(-one.mean, one.error) for depth, one in minus.items()}
        right.append(_series(name, parameters, more))
    draw(left, right, [(parameters[d], f"{large(parameters[d])} ({d})") for d in depths[:-1]],
         path, title)  # fmt: skip


def draw(
    left: Sequence[Series], right: Sequence[Series], ticks: Sequence[tuple[float, str]],
    path: Path, title: str,
) -> None:  # fmt: skip
    """The two charts beside each other; the teacher, at a KL of 0, is the right end of both."""
    label, theme = "stored parameters (layers)", paper(680)
    charts = [
        lines_chart(left, title="KL to the teacher, nats a token", said="lower is better",
                    x_label=label, x_ticks=ticks, log_y=True, theme=theme, height=330),
        lines_chart(right, title="KL more than order auto's", said="above 0: worse than it",
                    x_label=label, x_ticks=ticks, log_y=False, theme=theme, height=348),
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(sheet([charts], title), zoom=1.5))


def _series(name: str, parameters: Mapping[int, float], found: Mapping[int, Estimate]) -> Series:
    values = [(parameters[depth], one.mean, one.error) for depth, one in found.items()]
    return replace(_LOOKS[name], values=values)
