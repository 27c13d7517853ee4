"""The pictures of a published card: the family's curve, and which layers come from where.

Each is a function of the facts, drawn from what the card's tables say, so that a card that is the
same has the same pictures. Matplotlib is loaded with this module, which no front end needs.
"""

import io
from collections.abc import Sequence
from threading import Lock
from typing import Any

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from boomerang.card.facts import LAYERS, QUALITY, Facts, Size
from boomerang.card.measured import curve
from boomerang.card.words import large, number
from boomerang.family.composition import Layer, Side

INK, SOFT, PAPER, ACCENT, NAIVE = "#1c2430", "#5b6675", "#ffffff", "#b4541a", "#7a8798"
"""Those of the dashboard's light side: a picture has its own paper, on a dark page too."""
STUDENT, TEACHER = "#f3d9c4", "#b4541a"
"""As □ and ■ there: the student's is pale, the teacher's is full."""
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#c3cad3",
    "axes.labelcolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_DPI = 160
_DRAWN = Lock()
"""A style is one of the whole process, and workers are threads."""


def pictures(facts: Facts) -> dict[str, bytes]:
    """The PNG files of a card by their names beside it."""
    found = {LAYERS: layers_picture(facts)}
    if curve(facts):
        found[QUALITY] = quality_picture(facts)
    return found


def quality_picture(facts: Facts) -> bytes:
    """Perplexity of every size by its parameters, this size marked, naive pruning beside."""
    with _DRAWN, style.context(_STYLE, after_reset=True):
        figure = Figure(figsize=(7.2, 3.9), layout="constrained", facecolor=PAPER)
        axes = figure.add_subplot(facecolor=PAPER)
        sizes = curve(facts)
        naive = [size for size in sizes if size.naive_perplexity is not None]
        _line(axes, sizes, "perplexity", "this family", ACCENT, "-", "o")
        _line(axes, naive, "naive_perplexity", "naive pruning", NAIVE, "--", "s")
        _mark(axes, sizes, facts)
        _frame(axes, sizes, [*_values(sizes, "perplexity"), *_values(naive, "naive_perplexity")])
        axes.legend(frameon=False, loc="upper right", fontsize=9)
        return _png(figure)


def _values(sizes: Sequence[Size], field: str) -> list[float]:
    # As the tables have them: what they do not show changes no picture.
    return [float(number(getattr(size, field))) for size in sizes]


def _line(
    axes: Any, sizes: Sequence[Size], field: str, label: str, colour: str, line: str, marker: str
) -> None:
    if not sizes:
        return
    errors = [float(f"{size.errors.get(field, 0):.2g}") for size in sizes]
    axes.errorbar(
        [size.parameters for size in sizes], _values(sizes, field),
        yerr=errors if any(errors) else None,
        label=f"{label} (± standard error)" if any(errors) else label,
        color=colour, linestyle=line, linewidth=1.6, marker=marker, markersize=5, capsize=3,
        elinewidth=1,
    )  # fmt: skip


def _mark(axes: Any, sizes: Sequence[Size], facts: Facts) -> None:
    """A ring around this size, and the names of the ends."""
    for at, size in enumerate(sizes):
        value, here = _values([size], "perplexity")[0], size.name == facts.size.name
        if here:
            axes.plot([size.parameters], [value], "o", markersize=13, markerfacecolor="none",
                      markeredgecolor=INK, markeredgewidth=1.8)  # fmt: skip
        ends = {0: "student", len(sizes) - 1: "teacher"} if sizes == facts.sizes else {}
        name = "this size" if here else ends.get(at)
        if name is not None:
            axes.annotate(name, (size.parameters, value), (0, -17), textcoords="offset points",
                          ha="center", fontsize=9, color=INK if here else SOFT,
                          fontweight="bold" if here else "normal")  # fmt: skip


def _frame(axes: Any, sizes: Sequence[Size], values: Sequence[float]) -> None:
    if max(values) > 4 * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08, y=0.18)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: large(round(value))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#e4e8ed", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set(xlabel="stored parameters", ylabel="perplexity (lower is better)")


def layers_picture(facts: Facts) -> bytes:
    """Three rows of layers: the teacher's, the student's, and those of this size."""
    composition = facts.composition
    layermap = composition.layermap
    width = max(layermap.layers, len(composition.layers))
    with _DRAWN, style.context(_STYLE, after_reset=True):
        figure = Figure(figsize=(7.2, 2.5), facecolor=PAPER)
        axes = figure.add_axes((0.125, 0.02, 0.865, 0.96))
        axes.set(xlim=(-0.1, width + 0.1), ylim=(-0.62, 3.05))
        axes.axis("off")
        size = min(8.0, 200 / width)
        for row, name in ((2, "teacher"), (1, "student"), (0, facts.size.name)):
            axes.text(-0.25, row + 0.41, name, ha="right", va="center", fontsize=10,
                      fontweight="bold" if row == 0 else "normal")  # fmt: skip
        for index in range(layermap.layers):
            _box(axes, index, 2, Side.TEACHER, str(index), size)
        for j, block in enumerate(layermap.blocks):
            _box(axes, block.start, 1, Side.STUDENT, str(j), size, wide=len(block))
        for layer, at, wide in _placed(composition.layers, facts):
            _box(axes, at, 0, layer.side, str(layer.index), size, wide=wide)
        _legend(axes)
        return _png(figure)


def _placed(layers: Sequence[Layer], facts: Facts) -> list[tuple[Layer, int, int]]:
    """Where each layer stands below the teacher's, and how many of those it stands for."""
    starts = [layer.teacher_index for layer in layers]
    ends = [*starts[1:], facts.composition.layermap.layers]
    return [(layer, s, e - s) for layer, s, e in zip(layers, starts, ends, strict=True)]


def _box(
    axes: Any, at: float, row: float, side: Side, label: str, size: float, wide: float = 1
) -> None:
    full = side is Side.TEACHER
    axes.add_patch(
        FancyBboxPatch(
            (at + 0.06, row), wide - 0.12, 0.82, boxstyle="round,pad=0,rounding_size=0.12",
            mutation_aspect=0.8, facecolor=TEACHER if full else STUDENT,
            edgecolor=TEACHER, linewidth=0.8,
        )
    )  # fmt: skip
    axes.text(at + wide / 2, row + 0.4, label, ha="center", va="center", fontsize=size,
              color=PAPER if full else INK)  # fmt: skip


def _legend(axes: Any) -> None:
    words = (("■", TEACHER, "the teacher's layer"), ("□", TEACHER, "the student's layer"))
    for at, (square, colour, said) in enumerate(words):
        x = 0.0 + 0.27 * at
        axes.text(x, 0.045, square, transform=axes.transAxes, color=colour, va="center")
        axes.text(x + 0.025, 0.045, f"{said}, under its own number" if at else said,
                  transform=axes.transAxes, fontsize=9, color=SOFT, va="center")  # fmt: skip


def _png(figure: Figure) -> bytes:
    """The bytes of a picture: the same figure gives the same, whoever draws it and when."""
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()
