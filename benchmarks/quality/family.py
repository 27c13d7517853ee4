"""Every size of one student's family, and what it is compared with, measured on the same text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.quality.pruned import least_influential_pruned, measure_pruned
from benchmarks.quality.students import distilled
from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.composition import Choice, Composition
from boomerang.family.ladder import Ladder
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import PatchOrder, members_of
from boomerang.family.pair import Pair
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.processes.reporting import Reporter
from boomerang.quality.choosing.maps import measured_map
from boomerang.quality.choosing.orders import choose, klpatch
from boomerang.quality.choosing.search import Judge
from boomerang.quality.choosing.similarity import distances
from boomerang.quality.measure import Quality, measure, naive_counterpart
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream

AUTO, LAST, FIRST, KLPATCH = "order auto", "order last", "order first", "order klpatch"
NAIVE, NAIVE_BEST = "naive pruning, same blocks", "naive pruning, best blocks"
SHORTGPT, APART = "ShortGPT-style pruning", "distilled for the size"

Measured = dict[int, Quality]
"""By number of layers."""


@dataclass(frozen=True)
class Source:
    """Where everything comes from: teacher, texts, recipe, folder of students, and token counts."""

    teacher: Path
    data: Path
    recipe: Recipe
    students: Path
    calibration: int
    heldout: int

    def family(self, layermap: LayerMap | None = None) -> Couple:
        """The teacher and the student distilled for this map (the recipe's own if None)."""
        map_ = layermap or self._own_map()
        folder = distilled(self.teacher, self.data, self.recipe, map_, self.students)
        return self._couple(folder, map_)

    def _own_map(self) -> LayerMap:
        if self.recipe.measures:
            texts = Texts.open(self.data)
            silent = Reporter(speaks=False)
            rule = self.recipe.map
            return measured_map(rule, self.teacher, texts, self.recipe, silent).layermap
        return self.recipe.layermap(dissect(Checkpoint.open(self.teacher)).kinds)

    def apart(self, layers: int) -> Couple:
        """A student of so many layers, trained for itself: its passes are never patched."""
        depth = dissect(Checkpoint.open(self.teacher)).depth
        map_ = LayerMap.from_kept(_spread(layers, depth), depth)
        plain = self.recipe.override(patch_probability=0.0)
        return self._couple(distilled(self.teacher, self.data, plain, map_, self.students), map_)

    def windows(self, split: Split, tokens: int) -> Tensor:
        """The first windows of a split: (W, T + 1)."""
        vocabulary = dissect(Checkpoint.open(self.teacher)).head_tensor.shape[0]
        tokeniser = Tokeniser(self.teacher, vocabulary)
        encoded = tokeniser.encode(Texts.open(self.data), split)
        length = self.recipe.sequence_length
        return Stream(encoded, length, split, begins=tokeniser.begins).head(tokens)

    def _couple(self, folder: Path, layermap: LayerMap) -> Couple:
        models = [load(path, dtype=torch.float32) for path in (self.teacher, folder)]
        return couple(models[0], models[1], layermap)


@dataclass(frozen=True)
class Found:
    """One seed: every series by its name, the orders by theirs, and stored parameters by layers."""

    series: Mapping[str, Measured]
    orders: Mapping[str, PatchOrder]
    parameters: Mapping[int, int]


def measured(source: Source, sizes: Sequence[int]) -> Found:
    """Everything there is to compare, for one seed. Orders are chosen on calibration text alone."""
    both = source.family()
    calibration = source.windows("calibration", source.calibration)
    heldout = source.windows("heldout", source.heldout)
    ladders = ladders_of(both, calibration)
    each = list({member.code: member for ladder in ladders.values() for member in ladder}.values())
    known = dict(zip(each, measure(both, heldout, each), strict=True))
    series = {
        name: {len(member.layers): known[member] for member in ladder}
        for name, ladder in ladders.items()
    }
    influence = distances(both.teacher, calibration)
    depths = sorted(series[LAST])
    series[SHORTGPT] = {
        depth: measure_pruned(both.teacher, heldout, least_influential_pruned(influence, depth))
        for depth in depths[:-1]
    }
    series[APART] = {layers: _alone(source.apart(layers), heldout) for layers in sizes}
    orders = {
        name: tuple("".join(member.choices) for member in ladders[name])
        for name in (KLPATCH, AUTO, NAIVE_BEST)
    }
    return Found(series, orders, _parameters(source, both))


def ladders_of(both: Couple, calibration: Tensor) -> dict[str, list[Composition]]:
    """The members of every order, and of pruning by blocks (without teacher and student)."""
    chosen = choose(both, calibration, "best")
    judge = Judge(both, calibration)
    ladders = {
        AUTO: members_of(both.layermap, chosen.order),
        LAST: members_of(both.layermap, both.layermap.long[::-1]),
        FIRST: members_of(both.layermap, both.layermap.long),
        KLPATCH: members_of(both.layermap, klpatch(judge)),
    }
    ladders[NAIVE] = [naive_counterpart(member) for member in ladders[LAST][:-1]]
    ladders[NAIVE_BEST] = lowest(judge, every(both.layermap, (Choice.FIRST, Choice.BLOCK)))[:-1]
    return ladders


def every(layermap: LayerMap, choices: Sequence[Choice]) -> list[Composition]:
    """Every composition with these choices for each block."""
    made = (
        Composition.of(layermap, picked) for picked in product(choices, repeat=len(layermap.kept))
    )
    return list(dict.fromkeys(made))


def lowest(judge: Judge, members: Sequence[Composition]) -> list[Composition]:
    """Of each depth the member of lowest KL on the judge's text, by depth."""
    found = judge(members)
    by_depth: dict[int, list[Composition]] = {}
    for member in members:
        by_depth.setdefault(len(member.layers), []).append(member)
    return [min(by_depth[depth], key=lambda m: found[m].kl) for depth in sorted(by_depth)]


def _alone(both: Couple, heldout: Tensor) -> Quality:
    return measure(both, heldout, [Composition.patched(both.layermap, ())])[0]


def _parameters(source: Source, both: Couple) -> dict[int, int]:
    """Stored parameters by layers: all models here store one embedding."""
    pair = Pair.planned(Checkpoint.open(source.teacher), both.layermap, frozen=True)
    ladder = Ladder.of(pair, both.layermap.long)
    return {member.layers: member.parameters for member in ladder.members}


def _spread(keep: int, depth: int) -> list[int]:
    """The first and the last layer, and others at even distances between them."""
    kept = sorted({round(j * (depth - 1) / (keep - 1)) for j in range(keep)})
    if len(kept) != keep or any(b - a > 2 for a, b in pairwise(kept)):
        raise SystemExit(f"{keep} of {depth} layers leave a gap of more than one layer.")
    return kept
