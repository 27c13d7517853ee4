"""How far a teacher gets from itself without some of its layers, and what to keep because of it.

A student layer starts from the first layer of its block: in the untrained student the others are
skipped. What skipping them in the whole teacher costs, in KL to the teacher, is taken as additive
over blocks, so that the best cut is found exactly.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.layer_map import LayerMap
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.causal import Causal, Context
from boomerang.modules.load import load
from boomerang.quality.choosing.cuts import LONGEST, cheapest
from boomerang.quality.choosing.similarity import NotFinite
from boomerang.quality.target import Target
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import first_windows, length_for

Tick = Callable[[int, int], None]
TOKENS = 4096
"""Calibration text that a layer map is chosen on."""
WINDOW = 256
"""Tokens of a window at most."""

FEW = 4
"""Windows of a batch; more on a GPU where there is room for the states after all layers."""


def divergence_map(
    folder: Path, texts: Texts, recipe: Recipe, tick: Tick = lambda *_: None
) -> LayerMap:
    """The map of least divergence that keeps as many layers as the recipe's own map.

    On the beginning of the texts' calibration split; `tick` is told how much is done, of how much.
    Raises StudentMismatch where kinds of layers forbid a map, TooShort for too little text,
    NotFinite, and as `load`.
    """
    anatomy, where = dissect(files := Checkpoint.open(folder)), device()
    keep = len(recipe.layermap(anatomy.kinds).kept)
    tokeniser = Tokeniser(folder, anatomy.head_tensor.shape[0])
    length = length_for(files.config, min(recipe.sequence_length, WINDOW))
    windows = first_windows(tokeniser, texts, "calibration", TOKENS, length, lambda: tick(0, 0))
    teacher = load(folder, dtype=Accelerator.of(where).compute, where=where)
    costs = divergences(teacher, windows, LONGEST, tick)
    if torch.isnan(costs).any():
        raise NotFinite(
            f"What {folder.name!r} predicts is not finite.",
            value=folder.name,
            fix="Look at the model: it cannot be distilled either.",
        )
    return cheapest(costs, keep, anatomy.kinds)


@torch.no_grad()
def divergences(
    model: Causal, windows: Tensor, longest: int, tick: Tick = lambda *_: None
) -> Tensor:
    """KL(teacher ‖ teacher that skips layers i to j − 1), in nats a token: (N+1, N+1) at [i, j].

    For every run of fewer than `longest` layers, none of which is the first layer; the others are
    infinite, and [i, i] is 0. `windows` is (W, T + 1). A layer before those that are skipped is
    run once for all of them. `tick` is told after each run of layers on each batch how many such
    there were, of how many.
    """
    depth = len(model.layers)
    total = torch.full((depth + 1, depth + 1), float("inf"), dtype=torch.float64)
    total.fill_diagonal_(0.0)
    runs = [(i, j) for i in range(1, depth) for j in range(i + 1, min(i + longest, depth + 1))]
    for i, j in runs:
        total[i, j] = 0.0
    vocabulary = int(model.model.lm_head.weight.shape[0])
    length = windows.shape[1] - 1
    room = Accelerator.of(model.device).windows(FEW, length, vocabulary)
    batches = torch.split(windows.to(model.device), max(1, room))
    done = 0
    for ids in batches:
        hidden = model.embed(ids[:, :-1])
        context = model.context(hidden)
        states = [hidden, *_through(model, hidden, 0, context)]
        target = Target(model.head(model.norm(states[-1])), ids[:, 1:])
        for i, j in runs:
            *_, last = states[i], *_through(model, states[i], j, context)
            total[i, j] += target.compare(model.norm(last), model.head)[:, 1].sum().cpu()
            done += 1
            tick(done, len(batches) * len(runs))
    return total / windows[:, 1:].numel()


def _through(model: Causal, hidden: Tensor, start: int, context: Context) -> Iterator[Tensor]:
    """The states after each layer from `start` on."""
    for index in range(start, len(model.layers)):
        hidden = model.layer(index, hidden, context)
        yield hidden
