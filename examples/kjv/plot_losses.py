"""Draw the teacher's loss curve: `python examples/kjv/plot_losses.py` → losses.png."""

import csv
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent


def main() -> None:
    """Read losses.csv, write losses.png."""
    with (HERE / "losses.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for split, style in (("train", ":"), ("calibration", "--"), ("heldout", "-")):
        values = [float(row[split]) for row in rows]
        axes.plot(steps, values, style, color="#b4541a" if split == "heldout" else "#5b6675",
                  label=f"{split} ({values[-1]:.2f})")  # fmt: skip
    axes.set(xlabel="step (4,096 tokens each)", ylabel="cross-entropy, nats a token",
             title="KJV-1.4M: 12 layers, 1,416,096 parameters", ylim=(2, 5.5))  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(HERE / "losses.png", dpi=120)


if __name__ == "__main__":
    main()
