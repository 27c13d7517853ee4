"""`python -m benchmarks.quality`: what each order, pruning, and students of their own reach.

One student is distilled for the family and one for each of two sizes, all for the same number of
tokens; every size is then measured on the same held-out text. Orders are chosen on calibration
text alone.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import stdev

import torch

from benchmarks.quality.pruned import measure_pruned
from benchmarks.quality.report import Point, picture, table
from benchmarks.quality.students import distilled
from boomerang.anatomy import dissect
from boomerang.checkpoint import Checkpoint
from boomerang.composition import Composition
from boomerang.distill.data import Stream, Tokeniser
from boomerang.distill.recipe import Recipe
from boomerang.distill.texts import Split, Texts
from boomerang.ladder import Ladder
from boomerang.layermap import LayerMap
from boomerang.pair import Pair
from boomerang.patch_order import members_of
from boomerang.quality.measure import Quality, measure, naive_counterpart
from boomerang.quality.models import Causal, Couple, couple, load
from boomerang.quality.order import choose, klpatch
from boomerang.quality.search import Judge
from boomerang.quality.similarity import distances, least_influential_pruned

NAMES = {"last": "order last", "first": "order first", "klpatch": "order klpatch", "best": "best"}


def main() -> None:
    """Run it and write the table, the picture and the figures."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="boomerang-quality-") as scratch:
        keep = Path(options.keep or scratch)
        series = _measure(options, keep)
    text = table(series)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "quality.md").write_text(text, "utf-8")
    figures = {name: [asdict(point) for point in points] for name, points in series.items()}
    (options.out / "quality.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    picture(series, options.out / "quality.png", f"Sizes of {options.teacher.name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--teacher", type=Path, default=Path("examples/kjv/KJV-1.4M"))
    parser.add_argument("--data", type=Path, default=Path("examples/kjv"))
    parser.add_argument("--recipe", default="kjv")
    parser.add_argument("--steps", type=int, default=300, help="of every distillation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apart", type=int, nargs="*", default=[8, 10], help="sizes, in layers")
    parser.add_argument("--calibration", type=int, default=32768, help="tokens")
    parser.add_argument("--heldout", type=int, default=65536, help="tokens")
    parser.add_argument("--keep", help="a folder for the students, used again if it has them")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    return parser.parse_args()


def _measure(options: argparse.Namespace, keep: Path) -> dict[str, list[Point]]:
    recipe = Recipe.load(options.recipe).override(steps=options.steps, seed=options.seed)
    files = Checkpoint.open(options.teacher)
    layermap = recipe.layermap(dissect(files).kinds)
    folder = distilled(options.teacher, options.data, recipe, layermap, keep)
    pair = Pair.of(files, Checkpoint.open(folder))
    teacher = load(options.teacher, dtype=torch.float32)
    both = couple(teacher, load(folder, dtype=torch.float32), pair.layermap)
    calibration, heldout = _texts(options, pair, recipe)

    orders = dict(zip(("last", "first"), _fixed(pair.layermap), strict=True))
    orders["klpatch"] = klpatch(Judge(both, calibration))
    orders["best"] = choose(both, calibration, "best").order
    ladders = {name: members_of(pair.layermap, order) for name, order in orders.items()}
    ladders["naive"] = [naive_counterpart(member) for member in ladders["last"]]
    series = {
        NAMES.get(name, "naive pruning"): _points(both, pair, heldout, members)
        for name, members in ladders.items()
    }
    influence = distances(teacher, calibration)
    series["ShortGPT-style pruning"] = [
        _point(teacher, pair, layers, measure_pruned(teacher, heldout, layers))
        for layers in (
            least_influential_pruned(influence, len(member.layers)) for member in ladders["last"]
        )
    ]
    series["distilled for the size"] = [
        _apart(options, keep, recipe, teacher, pair, heldout, layers) for layers in options.apart
    ]
    return series


def _texts(options: argparse.Namespace, pair: Pair, recipe: Recipe) -> list[torch.Tensor]:
    tokeniser = Tokeniser(options.teacher, pair.teacher.head_tensor.shape[0])
    texts = Texts.open(options.data)

    def windows(split: Split, tokens: int) -> torch.Tensor:
        return Stream(tokeniser.encode(texts, split), recipe.sequence_length, split).head(tokens)

    return [windows("calibration", options.calibration), windows("heldout", options.heldout)]


def _fixed(layermap: LayerMap) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(reversed(layermap.long)), layermap.long


def _points(
    both: Couple, pair: Pair, heldout: torch.Tensor, members: list[Composition]
) -> list[Point]:
    qualities = measure(both, heldout, members)
    return [
        _point(both.teacher, pair, range(len(member.layers)), quality)
        for member, quality in zip(members, qualities, strict=True)
    ]


def _point(teacher: Causal, pair: Pair, layers: Iterable[int], quality: Quality) -> Point:
    """A model of so many layers; tied or not, all models here store one embedding."""
    count = len(list(layers))
    ladder = Ladder.of(pair, pair.layermap.long)
    by_depth = {member.layers: member.parameters for member in ladder.members}
    error = stdev(quality.windows) / len(quality.windows) ** 0.5
    return Point(count, by_depth[count], quality.perplexity, quality.kl, error)


def _apart(
    options: argparse.Namespace,
    keep: Path,
    recipe: Recipe,
    teacher: Causal,
    pair: Pair,
    heldout: torch.Tensor,
    layers: int,
) -> Point:
    """A student of `layers` layers, trained as plainly as can be for the same tokens."""
    plain = recipe.override(patch_probability=0.0)
    layermap = LayerMap.from_kept(_spread(layers, pair.layermap.layers), pair.layermap.layers)
    folder = distilled(options.teacher, options.data, plain, layermap, keep)
    alone = couple(teacher, load(folder, dtype=torch.float32), layermap)
    quality = measure(alone, heldout, [Composition.patched(layermap, ())])[0]
    return _point(teacher, pair, range(layers), quality)


def _spread(keep: int, depth: int) -> list[int]:
    """The first and the last layer, and others at even distances between them."""
    kept = sorted({round(j * (depth - 1) / (keep - 1)) for j in range(keep)})
    if len(kept) != keep or any(b - a > 2 for a, b in pairwise(kept)):
        raise SystemExit(f"{keep} of {depth} layers leave a gap of more than one layer.")
    return kept


if __name__ == "__main__":
    main()
