"""Draw the teacher's loss curve: `python examples/kjv/plot_losses.py` → losses.png."""

import csv
from pathlib import Path

from boomerang.charts.drawing.series import Series
from boomerang.charts.drawing.theme import PAPER
from boomerang.charts.lines import lines_chart
from boomerang.charts.raster import png

HERE = Path(__file__).parent
LOOKS = {"train": (4, False), "calibration": (4, True), "heldout": (0, False)}
"""Of each split its colour, and whether its line is dashed."""


def main() -> None:
    """Read losses.csv, write losses.png."""
    with (HERE / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    series = []
    for split, (look, dashed) in LOOKS.items():
        # The first steps, where the loss falls from 6.4, would leave the others no room.
        values = [
            (float(row["step"]), float(row[split]), None)
            for row in rows if float(row[split]) < 5.5
        ]  # fmt: skip
        name = f"{split} ({values[-1][1]:.2f})"
        series.append(Series(name, values, look, dashed=dashed, marks=False))
    svg = lines_chart(
        series, title="cross-entropy, nats a token", x_label="step (4,096 tokens each)",
        said="KJV-1.4M: 12 layers, 1,416,096 parameters", log_y=False, theme=PAPER,
    )  # fmt: skip
    (HERE / "losses.png").write_bytes(png(svg))


if __name__ == "__main__":
    main()
