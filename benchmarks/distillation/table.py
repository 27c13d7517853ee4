"""What was measured, as tables and as a picture."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks.distillation.runs import SIDES, Curves, Point, Side
from benchmarks.distillation.shapes import Shape
from boomerang.charts.bars import Bar, bars_chart
from boomerang.charts.drawing.series import Series
from boomerang.charts.drawing.theme import paper
from boomerang.charts.lines import lines_chart
from boomerang.charts.raster import png
from boomerang.charts.sheet import sheet

_INTRODUCTION = """# Distilling beside a plain loop

Written by `make bench-distillation` (`python -m benchmarks.distillation`), in one run. Machine:
{machine}.

The plain loop is the published method written down: documents padded to a row each, whole
logits, all hidden states. Ours is the trainer itself, documents packed and kept apart. Each run
is a process of its own; they take turns. Shape: {shape}. Documents of
random length, exponential around a half of a row. All in float32.

- `published`: the published losses, everything trained, as in the plain loop. `default`:
  embeddings frozen, and passes patched as often as that recipe does in the end.
- Useful tokens are those of documents: no padding, no end of text. Rates are medians of {rounds}
  rounds, lowest and highest in brackets; × and ÷ are of the medians, to the first row.
- Memory is the peak of the whole process, weights included; one that has only imported torch and
  transformers has {idle:.0f} MB.

"""


def report(found: Mapping[Shape, Sequence[Side]], curves: Curves, idle: float) -> str:
    """Everything as Markdown."""
    first = next(iter(found))
    shape = f"{first.layers} layers of width {first.width}, batch {first.batch} × {first.length}"
    rounds = len(found[first][0].results)
    text = _INTRODUCTION.format(machine=machine(), shape=shape, rounds=rounds, idle=idle)
    rows = [
        "| vocabulary | | useful tokens/s | × | all tokens/s | peak memory, MB | ÷ first |",
        "|--:|---|--:|--:|--:|--:|--:|",
        *(_row(shape, side, sides[0]) for shape, sides in found.items() for side in sides),
    ]
    return text + "\n".join(rows) + "\n" + _losses(curves)


def _row(shape: Shape, side: Side, base: Side) -> str:
    low, high = side.spread
    cells = [
        f"{shape.vocabulary:,}", side.title, f"{side.useful:,.0f} ({low:,.0f}–{high:,.0f})",
        f"{side.useful / base.useful:.2f}", f"{side.every:,.0f}", f"{side.memory:,.0f}",
        f"{side.memory / base.memory:.0%}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _losses(curves: Curves) -> str:
    seeds = len(next(iter(curves.ends.values())))
    rows = [
        "\n## Loss against tokens\n",
        "The small teacher and its text, 12 → 7 layers: published losses, and the same optimiser,",
        "schedule and useful tokens in a step (1,024, in rows of 256) on every side. Held-out",
        "cross-entropy of the student in nats a token, documents one by one and packed in one",
        f"stream; means of {seeds} seeds, each seed in brackets.\n",
        "| | useful tokens | seconds | documents one by one | packed |",
        "|---|--:|--:|--:|--:|",
    ]
    for side, title in SIDES.items():
        last, ends = curves.points[side][-1], curves.ends[side]
        cells = [
            title, f"{last.tokens:,.0f}", f"{last.seconds:.0f}",
            _each(last.alone, [end.alone for end in ends]),
            _each(last.packed, [end.packed for end in ends]),
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "\n![Speed, memory and loss](../images/distillation.png)\n"])


def _each(value: float, seeds: Sequence[float]) -> str:
    return f"{value:.4f} ({', '.join(f'{seed:.4f}' for seed in seeds)})"


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__.split('+')[0]}"


def picture(found: Mapping[Shape, Sequence[Side]], curves: Curves, file: Path) -> None:
    """Bars of speed and memory, and held-out loss against tokens and seconds."""
    bars = [
        _bars(found, "useful tokens/s", "more is better", lambda side: side.useful),
        _bars(found, "peak memory, MB", "less is better", lambda side: side.memory),
    ]
    lines = [
        _lines(curves, "useful tokens", lambda point: point.tokens),
        _lines(curves, "seconds", lambda point: point.seconds),
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png(sheet([bars, lines]), zoom=1.5))


def _bars(
    found: Mapping[Shape, Sequence[Side]], title: str, said: str, value: Callable[[Side], float]
) -> str:
    bars = [
        Bar(f"{shape.vocabulary:,}: {side.title.replace('`', '')}", value(side),
            f"{value(side):,.0f}", ours="plain" not in side.title)
        for shape, sides in found.items() for side in sides
    ]  # fmt: skip
    return bars_chart(bars, title=title, said=said, theme=paper(620))


def _lines(curves: Curves, title: str, place: Callable[[Point], float]) -> str:
    series = [
        Series(
            f"{SIDES[side]}; read {'one by one' if how == 'alone' else 'packed'}",
            [(place(point), getattr(point, how), None) for point in curves.points[side][1:]],
            look, dashed=how == "packed", marks=False,
        )
        for side, look in zip(SIDES, (4, 1, 0), strict=True)
        for how in ("alone", "packed")
    ]  # fmt: skip
    return lines_chart(
        series, title="held-out loss, nats a token", x_label=title, said="less is better",
        log_y=False, theme=paper(620),
    )  # fmt: skip
