"""`python -m benchmarks.quality.regret`: how much text a choice of members needs.

The members of every size are chosen on pieces of the calibration text of growing length, and
measured on held-out text. Regret is the KL of what was chosen, less that of what the most text
chose, as a mean over the inner sizes; with and without the third choice.
"""

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

import torch
from torch import Tensor

from benchmarks.quality.family import Source, lowest
from boomerang.family.composition import Choice, Composition
from boomerang.family.order_forms import members_of
from boomerang.modules.couple import Couple
from boomerang.quality.choosing.orders import klpatch
from boomerang.quality.choosing.search import Judge, search
from boomerang.quality.measure import Quality, measure
from boomerang.recipes.recipe import Recipe

DRAWS = {1024: 5, 2048: 5, 4096: 4, 8192: 2, 16384: 1}
"""Tokens of calibration text, and how many pieces of that length."""
NAMES = ("klpatch", "best of two choices", "best", "lowest KL seen")
"""`best` is the search as it is offered: three choices, no dips in perplexity, simple orders first.

The last is the member of lowest KL of all that it measured, whatever else is said of it.
"""

BASE = "best"

Ladder = list[Composition]


@dataclass
class Restricted(Judge):
    """A judge that can be told to have no eyes for the third choice, and remembers what it saw."""

    third: bool = True
    seen: set[Composition] = field(default_factory=set)

    def __call__(
        self, members: Iterable[Composition], *, whole: bool = True
    ) -> dict[Composition, Quality]:
        """As `Judge`."""
        found = super().__call__(members, whole=whole)
        self.seen |= found.keys() if whole else set()
        return found

    def best(
        self, members: Iterable[Composition], count: int, budget: float = math.inf
    ) -> tuple[list[Composition], bool]:
        """As `Judge.best`, without members of the third choice where that is forbidden."""
        allowed = [m for m in members if self.third or Choice.FIRST not in m.choices]
        return super().best(allowed, count, budget)


def chosen(both: Couple, windows: Tensor) -> dict[str, Ladder]:
    """The inner members by each way of choosing, over windows (W, T + 1)."""
    judge = Restricted(both, windows)
    long = both.layermap.long
    orders = {"last": long[::-1], "first": long, "klpatch": klpatch(judge)}
    seeds = {name: members_of(both.layermap, order) for name, order in orders.items()}
    three = search(judge, seeds).members
    judge.third = False
    two = search(judge, seeds).members
    alone = lowest(judge, list(judge.seen))
    depths = {len(member.layers) for member in three}
    alone = [member for member in alone if len(member.layers) in depths]
    ladders = dict(zip(NAMES, (seeds["klpatch"], two, three), strict=False))
    inner = {name: ladder[1:-1] for name, ladder in ladders.items()}
    # The search measures neither student nor teacher unless asked to.
    return {**inner, NAMES[-1]: [m for m in alone if m not in (three[0], three[-1])]}


def regrets(
    both: Couple, calibration: Tensor, heldout: Tensor
) -> tuple[dict[int, dict[str, list[float]]], dict[str, float]]:
    """By tokens and way of choosing the regret of each piece; and the KL that it is counted from.

    Every way is compared with what `best` takes on the most text.
    """
    length = calibration.shape[1] - 1
    ladders: dict[int, list[dict[str, Ladder]]] = {}
    for tokens, draws in DRAWS.items():
        size = tokens // length
        room = len(calibration) - size
        starts = [round(room * i / max(1, draws - 1)) for i in range(draws)]
        pieces = [calibration[start : start + size] for start in dict.fromkeys(starts)]
        ladders[tokens] = [chosen(both, piece) for piece in pieces]
        print(tokens, len(pieces), file=sys.stderr, flush=True)
    each = [m for draws in ladders.values() for draw in draws for way in draw.values() for m in way]
    every = list(dict.fromkeys(each))
    known = dict(zip(every, measure(both, heldout, every), strict=True))

    def kl(ladder: Ladder) -> float:
        return mean(known[member].kl for member in ladder)

    most = ladders[max(DRAWS)][0]
    for name, ladder in most.items():
        said = [f"{''.join(m.choices)} {known[m].kl:.4f} {known[m].perplexity:.2f}" for m in ladder]
        print(name, "; ".join(said), file=sys.stderr)
    base = kl(most[BASE])
    found = {
        tokens: {name: [kl(draw[name]) - base for draw in draws] for name in NAMES}
        for tokens, draws in ladders.items()
    }
    return found, {name: kl(most[name]) for name in NAMES}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.regret", description=__doc__
    )
    parser.add_argument("--keep", type=Path, required=True, help="a folder for the students")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--heldout", type=int, default=65536, help="tokens")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kjv = Path("examples/kjv")
    recipe = Recipe.load("kjv").override(steps=options.steps, seed=options.seed)
    source = Source(kjv / "KJV-1.4M", kjv, recipe, options.keep, 0, 0)
    texts = [source.windows("calibration", 65536), source.windows("heldout", options.heldout)]
    found, most = regrets(source.family(), *texts)
    print("| tokens | pieces | " + " | ".join(NAMES) + " |")
    print("|--:|--:|" + "--:|" * len(NAMES))
    for tokens, by_name in found.items():
        cells = [_cell(by_name[name]) for name in NAMES]
        print(f"| {tokens:,} | {len(by_name[NAMES[0]])} | {' | '.join(cells)} |")
    print({name: round(kl, 4) for name, kl in most.items()})


def _cell(values: list[float]) -> str:
    spread = f" (s.d. {stdev(values):.4f}, most {max(values):+.4f})" if len(values) > 1 else ""
    return f"{mean(values):+.4f}{spread}"


if __name__ == "__main__":
    main()
