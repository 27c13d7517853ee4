"""The figures as a table and as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Point:
    """A model: its layers, stored parameters, perplexity, KL in nats a token, and KL's error."""

    layers: int
    parameters: int
    perplexity: float
    kl: float
    error: float


Series = Mapping[str, Sequence[Point]]


def table(series: Series) -> str:
    """Markdown: a row for each series, a column for each number of layers; KL, then perplexity."""
    depths = sorted({point.layers for points in series.values() for point in points})
    lines = ["| layers | " + " | ".join(map(str, depths)) + " |", "|---" * (len(depths) + 1) + "|"]
    for name, points in series.items():
        at = {point.layers: point for point in points}
        kls = [f"{at[d].kl:.3f} ± {at[d].error:.3f}" if d in at else "" for d in depths]
        ppls = [f"{at[d].perplexity:.2f}" if d in at else "" for d in depths]
        lines.append(f"| {name}: KL | " + " | ".join(kls) + " |")
        lines.append("| … perplexity | " + " | ".join(ppls) + " |")
    return "\n".join(lines) + "\n"


def picture(series: Series, path: Path, title: str) -> None:
    """Quality against stored parameters."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    for name, points in series.items():
        millions = [point.parameters / 1e6 for point in points]
        alone = name.startswith("distilled")
        axes.errorbar(
            millions,
            [point.kl for point in points],
            yerr=[point.error for point in points],
            label=name,
            marker="D" if alone else "o",
            linestyle="none" if alone else "--" if "pruning" in name else "-",
            capsize=2,
            markersize=4,
        )
    axes.set(xlabel="stored parameters, millions", ylabel="KL to the teacher, nats a token")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
