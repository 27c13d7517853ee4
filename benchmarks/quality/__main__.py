"""`python -m benchmarks.quality`: what each order, pruning, and students of their own reach.

For each seed one student is distilled for the family and one for each of two sizes, all for the
same number of tokens; every size is then measured on the same held-out text. Orders are chosen on
calibration text alone. Then: what measuring a whole family costs, in time and in memory.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.distillation.shapes import Shape
from benchmarks.quality import cost, report
from benchmarks.quality.family import Found, Source, measured
from benchmarks.quality.memory import peaks
from benchmarks.quality.picture import picture
from boomerang.quality.choosing.orders import CALIBRATION
from boomerang.recipes.recipe import Recipe

LARGER = Shape(12, 512, 4096, 16, 64, 1)
"""A shape where the layers, and not the vocabulary, are most of the work."""
TOY = Shape(4, 64, 64, 2, 16, 1)


def main() -> None:
    """Run it, and write the tables and the picture."""
    options = _options()
    torch.set_num_threads(1)
    folder = options.docs
    parts = folder / "benchmarks/quality.md", folder / "images" / "quality.png"
    text = ""
    if "sizes" in options.only:
        with tempfile.TemporaryDirectory(prefix="boomerang-quality-") as scratch:
            found = _sizes(options, Path(options.keep or scratch))
        text += report.sizes(found, source(options, Path(), 0))
        picture(found, parts[1], f"Sizes of {options.teacher.name}")
    if "cost" in options.only:
        text += report.costs(_costs(options), peaks(_shape(options)), _shape(options))
    print(text)
    if options.write:
        parts[0].parent.mkdir(parents=True, exist_ok=True)
        parts[0].write_text(text, "utf-8")


def source(options: argparse.Namespace, students: Path, seed: int) -> Source:
    """What the options name, with one seed."""
    recipe = Recipe.load(options.recipe).override(steps=options.steps, seed=seed)
    return Source(
        options.teacher, options.data, recipe, students, options.calibration, options.heldout
    )


def _sizes(options: argparse.Namespace, students: Path) -> list[Found]:
    found = []
    for seed in range(options.seeds):
        _say(f"seed {seed}")
        found.append(measured(source(options, students, seed), options.apart))
    return found


def _costs(options: argparse.Namespace) -> dict[str, list[cost.Cost]]:
    """By the shape's title."""
    both = cost.from_folder(options.teacher)
    windows = source(options, Path(), 0).windows("heldout", 4096)
    _say("cost of measuring")
    small = cost.costs(both, windows, options.rounds)
    shape = _shape(options)
    larger = cost.costs(cost.from_shape(shape), cost.random_windows(shape), options.rounds)
    return {options.teacher.name: small, f"width {shape.width}": larger}


def _shape(options: argparse.Namespace) -> Shape:
    return TOY if options.toy else LARGER


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--teacher", type=Path, default=Path("examples/kjv/KJV-1.4M"))
    parser.add_argument("--data", type=Path, default=Path("examples/kjv"))
    parser.add_argument("--recipe", default="kjv")
    parser.add_argument("--steps", type=int, default=300, help="of every distillation")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--apart", type=int, nargs="*", default=[8, 10], help="sizes, in layers")
    parser.add_argument("--calibration", type=int, default=CALIBRATION, help="tokens")
    parser.add_argument("--heldout", type=int, default=65536, help="tokens")
    parser.add_argument("--rounds", type=int, default=5, help="of measuring what it costs")
    parser.add_argument("--only", nargs="*", default=["sizes", "cost"], choices=["sizes", "cost"])
    parser.add_argument("--keep", help="a folder for the students, used again if it has them")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the results")
    parser.add_argument("--toy", action="store_true", help="a tiny shape for the costs")
    options = parser.parse_args()
    options.write = set(options.only) == {"sizes", "cost"}
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
