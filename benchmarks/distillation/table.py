"""What was measured, as tables and as a picture."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.distillation.runs import SIDES, Curves, Point, Side
from benchmarks.distillation.shapes import Shape

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
    return "\n".join([*rows, "\n![Speed, memory and loss](images/distillation.png)\n"])


def _each(value: float, seeds: Sequence[float]) -> str:
    return f"{value:.4f} ({', '.join(f'{seed:.4f}' for seed in seeds)})"


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__.split('+')[0]}"


def picture(found: Mapping[Shape, Sequence[Side]], curves: Curves, file: Path) -> None:
    """Bars of speed and memory, and held-out loss against tokens and seconds."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    _bars(axes[0][0], found, "useful tokens/s", lambda side: side.useful)
    _bars(axes[0][1], found, "peak memory, MB", lambda side: side.memory)
    _lines(axes[1][0], curves, "useful tokens", lambda point: point.tokens)
    _lines(axes[1][1], curves, "seconds", lambda point: point.seconds)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def _bars(axes: Any, found: Mapping[Shape, Sequence[Side]], title: str, value: Any) -> None:
    rows = [(shape, side) for shape, sides in found.items() for side in sides]
    labels = [f"{shape.vocabulary:,}: {side.title.replace('`', '')}" for shape, side in rows]
    colours = ["tab:gray" if "plain" in side.title else "tab:blue" for _, side in rows]
    bars = axes.barh(labels, [value(side) for _, side in rows], color=colours)
    axes.bar_label(bars, fmt="{:,.0f}", padding=3)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.margins(x=0.15)


def _lines(axes: Any, curves: Curves, title: str, place: Any) -> None:
    for side, colour in zip(SIDES, ("tab:gray", "tab:cyan", "tab:blue"), strict=True):
        points: list[Point] = curves.points[side][1:]
        for how, style in (("alone", "-"), ("packed", "--")):
            name = f"{SIDES[side]}; read {'one by one' if how == 'alone' else 'packed'}"
            losses = [getattr(point, how) for point in points]
            axes.plot([place(point) for point in points], losses, style, color=colour, label=name)
    axes.set_xlabel(title)
    axes.set_ylabel("held-out loss, nats a token")
    axes.legend(fontsize=7)
