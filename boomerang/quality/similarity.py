"""How alike the hidden states of a teacher's layers are, and what to keep because of it.

A student layer starts from the first layer of its block and must do what the whole block does. It
has the less to learn, the nearer the block's output already is to its first layer's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from boomerang.errors import StudentMismatch
from boomerang.layermap import LayerMap
from boomerang.quality.models import Causal


@torch.no_grad()
def distances(model: Causal, windows: Tensor) -> Tensor:
    """Mean over tokens of 1 − cos between the states after i and after j layers: (N+1, N+1).

    Row 0 are the embeddings. `windows` is (W, T + 1); the last token of each is not read.
    """
    depth = len(model.layers)
    total = torch.zeros(depth + 1, depth + 1, dtype=torch.float64)
    for ids in torch.split(windows[:, :-1], 4):
        hidden = model.embed(ids.to(model.device))
        context = model.context(hidden)
        states = [hidden]
        for index in range(depth):
            states.append(model.layer(index, states[-1], context))
        unit = torch.stack(
            [torch.nn.functional.normalize(state.float(), dim=-1).flatten() for state in states]
        )  # (N+1, B · T · width)
        total += (ids.numel() - unit @ unit.T).double().cpu()
    return total / windows[:, :-1].numel()


def block_influence(of: Tensor) -> list[float]:
    """How much each layer changes its input: 1 − cos (ShortGPT, arXiv 2403.03853, section 3.1)."""
    return [float(of[index, index + 1]) for index in range(len(of) - 1)]


def least_influential_pruned(of: Tensor, keep: int) -> list[int]:
    """The `keep` layers that ShortGPT's pruning leaves: those of greatest influence, in order."""
    influence = block_influence(of)
    ranked = sorted(range(len(influence)), key=lambda index: -influence[index])
    return sorted(ranked[:keep])


def map_by_similarity(of: Tensor, keep: int, kinds: Sequence[str] = ()) -> LayerMap:
    """The layer map of `keep` blocks whose first layers come nearest to what the blocks do.

    Exact: over all cuts of the N layers into contiguous blocks, the least sum of the distances
    (N+1, N+1) between the state after a block's first layer and after its last. With the `kinds`
    of the layers, one of each is kept. Raises StudentMismatch where that cannot be.
    """
    depth = len(of) - 1
    kinds = kinds or ["layer"] * depth
    every = frozenset(kinds)
    if not len(every) <= keep <= depth:
        raise StudentMismatch(
            f"{keep} of {depth} layers cannot be kept with one of each kind ({len(every)}).",
            value=keep,
            fix=f"Keep from {len(every)} to {depth} layers.",
        )
    # By (first layer not yet in a block, kinds kept so far): the least cost and the layers kept.
    best: dict[tuple[int, frozenset[str]], tuple[float, tuple[int, ...]]] = {
        (0, frozenset()): (0.0, ())
    }
    for _ in range(keep):
        step: dict[tuple[int, frozenset[str]], tuple[float, tuple[int, ...]]] = {}
        for (start, seen), (cost, kept) in best.items():
            for end in range(start + 1, depth + 1):
                key = (end, seen | {kinds[start]})
                found = (cost + float(of[start + 1, end]), (*kept, start))
                if key not in step or found < step[key]:
                    step[key] = found
        best = step
    if (depth, every) not in best:
        raise StudentMismatch(
            f"No layer map of {keep} layers keeps each of {sorted(every)}.",
            value=keep,
            fix="Keep more layers.",
        )
    return LayerMap(best[depth, every][1], depth)
