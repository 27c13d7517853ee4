"""How alike the hidden states of a teacher's layers are, and what to keep because of it.

A student layer starts from the first layer of its block and must do what the whole block does. It
has the less to learn, the nearer the block's output already is to its first layer's.
"""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BoomerangError, StudentMismatch
from boomerang.family.layer_map import LayerMap
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.causal import Causal
from boomerang.modules.load import load
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import first_windows, length_for

TOKENS = 16384
"""Calibration text that a layer map is chosen on."""
FEW = 4
"""Windows of a batch; more on a GPU where there is room for the states after all layers."""


class NotFinite(BoomerangError):
    """The states of a teacher are no numbers, so that nothing can be said of its layers."""

    slug, title = "not-finite", "The teacher's states are not finite"


def similarity_map(
    folder: Path, texts: Texts, recipe: Recipe, tick: Callable[[int, int], None] = lambda *_: None
) -> LayerMap:
    """The map by similarity that keeps as many layers as the recipe's own map.

    On the beginning of the texts' calibration split. No block is longer than the longest of the
    recipe's own map, so that the ladder is not coarser. `tick` is told how many windows are done,
    of how many. Raises StudentMismatch where kinds of layers forbid it, TooShort for too little
    text, NotFinite, and as `load`.
    """
    anatomy = dissect(files := Checkpoint.open(folder))
    own, where = recipe.layermap(anatomy.kinds), device()
    tokeniser = Tokeniser(folder, anatomy.head_tensor.shape[0])
    length = length_for(files.config, recipe.sequence_length)
    windows = first_windows(tokeniser, texts, "calibration", TOKENS, length, lambda: tick(0, 0))
    of = distances(load(folder, dtype=Accelerator.of(where).compute, where=where), windows, tick)
    if not torch.isfinite(of).all():
        raise NotFinite(
            f"States of {folder.name!r} are not finite.",
            value=folder.name,
            fix="Look at the model: it cannot be distilled either.",
        )
    longest = max(len(block) for block in own.blocks)
    return map_by_similarity(of, len(own.kept), anatomy.kinds, longest)


@torch.no_grad()
def distances(
    model: Causal, windows: Tensor, tick: Callable[[int, int], None] = lambda *_: None
) -> Tensor:
    """Mean over tokens of 1 − cos between the states after i and after j layers: (N+1, N+1).

    Row 0 are the embeddings. `windows` is (W, T + 1); the last token of each is not read. `tick` is
    told how many windows are done, of how many.
    """
    depth = len(model.layers)
    total, done = torch.zeros(depth + 1, depth + 1, dtype=torch.float64), 0
    length, width = windows.shape[1] - 1, int(model.config.hidden_size)
    room = Accelerator.of(model.device).windows(FEW, length, (depth + 1) * width)
    for ids in torch.split(windows[:, :-1], max(FEW, room)):
        hidden = model.embed(ids.to(model.device))
        context = model.context(hidden)
        states = [hidden]
        for index in range(depth):
            states.append(model.layer(index, states[-1], context))
        unit = torch.stack(
            [torch.nn.functional.normalize(state.float(), dim=-1).flatten() for state in states]
        )  # (N+1, B · T · width)
        total += (ids.numel() - unit @ unit.T).double().cpu()
        done += len(ids)
        tick(done, len(windows))
    return total / windows[:, :-1].numel()


def map_by_similarity(
    of: Tensor, keep: int, kinds: Sequence[Hashable] = (), longest: int | None = None
) -> LayerMap:
    """The layer map of `keep` blocks whose first layers come nearest to what the blocks do.

    Exact: over all cuts of the N layers into contiguous blocks, the least sum of the distances
    (N+1, N+1) between the state after a block's first layer and after its last. With the `kinds`
    of the layers, one of each is kept. No block has more than `longest` layers: a long block is
    one step of the ladder, and the sizes within it are lost. Raises StudentMismatch where that
    cannot be.
    """
    depth = len(of) - 1
    longest = depth if longest is None else longest
    kinds = kinds or ["layer"] * depth
    every = frozenset(kinds)
    if not len(every) <= keep <= depth:
        raise StudentMismatch(
            f"{keep} of {depth} layers cannot be kept with one of each kind ({len(every)}).",
            value=keep,
            fix=f"Keep from {len(every)} to {depth} layers.",
        )
    # By (first layer not yet in a block, kinds kept so far): the least cost and the layers kept.
    best: dict[tuple[int, frozenset[Hashable]], tuple[float, tuple[int, ...]]] = {
        (0, frozenset()): (0.0, ())
    }
    for _ in range(keep):
        step: dict[tuple[int, frozenset[Hashable]], tuple[float, tuple[int, ...]]] = {}
        for (start, seen), (cost, kept) in best.items():
            for end in range(start + 1, min(start + longest, depth) + 1):
                key = (end, seen | {kinds[start]})
                found = (cost + float(of[start + 1, end]), (*kept, start))
                if key not in step or found < step[key]:
                    step[key] = found
        best = step
    if (depth, every) not in best:
        raise StudentMismatch(
            f"No layer map of {keep} layers, in blocks of at most {longest}, keeps each of "
            f"{sorted(map(str, every))}.",
            value=keep,
            fix="Keep more layers, or allow longer blocks.",
        )
    return LayerMap(best[depth, every][1], depth)
