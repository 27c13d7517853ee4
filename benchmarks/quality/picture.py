"""The figures as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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

_STYLES: Mapping[str, tuple[str, str, str, float]] = {
    AUTO: ("tab:blue", "-", "o", 4),
    KLPATCH: ("tab:purple", "-", "s", 9),
    LAST: ("tab:green", "-", "v", 6),
    FIRST: ("tab:brown", "-", "^", 13),
    NAIVE_BEST: ("tab:orange", "--", "o", 5),
    NAIVE: ("tab:red", "--", "v", 5),
    SHORTGPT: ("tab:gray", "--", "s", 5),
    APART: ("black", "none", "D", 6),
}
"""Colour, line, marker and its size: orders that agree are rings around each other."""


def picture(found: Sequence[Found], path: Path, title: str) -> None:
    """Quality against stored parameters, and how each order differs from `auto`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 6), layout="constrained")
    depths = sorted(found[0].series[LAST])
    millions = {depth: found[0].parameters[depth] / 1e6 for depth in depths}
    for name in SHOWN:
        here = [depth for depth in depths[:-1] if has(found, name, depth)]
        _draw(left, name, millions, {depth: kl(found, name, depth) for depth in here})
    for name in (LAST, FIRST, KLPATCH, APART):
        inner = [depth for depth in depths[1:-1] if has(found, name, depth)]
        minus = {depth: difference(found, name, depth) for depth in inner}
        more = {depth: Estimate(-one.mean, one.error) for depth, one in minus.items()}
        _draw(right, name, millions, more)
    right.axhline(0, color=_STYLES[AUTO][0], linewidth=1.5)
    left.set_yscale("log")
    left.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    left.set_yticks([0.1, 0.2, 0.3, 0.5, 1, 2], minor=False)
    left.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    left.set(ylabel="KL to the teacher, nats a token (log)", title=title)
    right.set(
        ylabel="KL more than order auto's",
        title="Above the blue line: worse than order auto (± standard error)",
    )
    for axes in (left, right):
        axes.set_xlabel("stored parameters, millions (layers)")
        axes.set_xticks(list(millions.values()), [f"{m:.2f}\n({d})" for d, m in millions.items()])
        axes.grid(alpha=0.3)
    left.axvline(millions[depths[-1]], color="gray", linewidth=1, linestyle=":")
    left.annotate(
        "teacher: 0", (millions[depths[-1]], 0.98), xycoords=("data", "axes fraction"),
        rotation=90, ha="right", va="top", color="gray",
    )  # fmt: skip
    # Below both, where it hides no point.
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(
    axes: Any, name: str, millions: Mapping[int, float], found: Mapping[int, Estimate]
) -> None:
    colour, line, marker, size = _STYLES[name]
    axes.errorbar(
        [millions[depth] for depth in found],
        [one.mean for one in found.values()],
        yerr=[one.error for one in found.values()],
        label=name, color=colour, linestyle=line, marker=marker, markersize=size, capsize=3,
        markerfacecolor="none" if name in (KLPATCH, FIRST) else colour,
        zorder=3 if name in (AUTO, APART) else 2,
    )  # fmt: skip
