"""`python -m benchmarks.quality.maps`: the families of several layer maps, beside each other.

Each map has a student of its own, of the same recipe, steps and seed. At every depth the member of
lowest KL on calibration text, of all that are made of student's layers and teacher's blocks, is
measured on held-out text: no patch order favours one map.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.quality.family import Source, every, lowest
from benchmarks.quality.paired import Estimate
from boomerang.family.composition import Choice
from boomerang.family.layer_map import LayerMap
from boomerang.modules.couple import Couple
from boomerang.quality.choosing.search import Judge
from boomerang.quality.measure import Quality, measure
from boomerang.recipes.recipe import Recipe


def family(both: Couple, calibration: torch.Tensor, heldout: torch.Tensor) -> dict[int, Quality]:
    """The held-out quality of the best member at each depth below the teacher's."""
    judge = Judge(both, calibration)
    members = lowest(judge, every(both.layermap, (Choice.STUDENT, Choice.BLOCK)))[:-1]
    found = measure(both, heldout, members)
    return {len(m.layers): quality for m, quality in zip(members, found, strict=True)}


def main() -> None:
    """Print the table: KL by depth, and the difference from the first map's, window by window."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.maps", description=__doc__)
    parser.add_argument("kept", nargs="+", help="layers kept: 0,2,4,6,8,10,11 0,1,3,5,7,8,10 …")
    parser.add_argument("--keep", type=Path, required=True, help="a folder for the students")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calibration", type=int, default=8192)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kjv = Path("examples/kjv")
    recipe = Recipe.load("kjv").override(steps=options.steps, seed=options.seed)
    source = Source(kjv / "KJV-1.4M", kjv, recipe, options.keep, options.calibration, 65536)
    calibration = source.windows("calibration", source.calibration)
    heldout = source.windows("heldout", source.heldout)
    first: dict[int, Quality] = {}
    for kept in options.kept:
        layermap = LayerMap.from_kept(map(int, kept.split(",")), 12)
        found = family(source.family(layermap), calibration, heldout)
        first = first or found
        cells = [_cell(found.get(depth), first.get(depth)) for depth in range(min(first), 12)]
        print(f"| {kept} | {' | '.join(cells)} |", flush=True)


def _cell(here: Quality | None, there: Quality | None) -> str:
    if here is None:
        return ""
    if there is None or there is here:
        return str(Estimate.of(here.windows))
    less = Estimate.difference(here.windows, there.windows)
    return f"{Estimate.of(here.windows)} ({less.signed}; perplexity {here.perplexity:.2f})"


if __name__ == "__main__":
    main()
