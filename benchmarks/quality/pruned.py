"""A teacher cut down to some of its layers without distillation, measured as it stands."""

from collections.abc import Sequence

import torch
from torch import Tensor

from boomerang.modules.causal import Causal
from boomerang.quality.measure import Quality, quality
from boomerang.quality.target import Target


@torch.no_grad()
def measure_pruned(teacher: Causal, windows: Tensor, layers: Sequence[int]) -> Quality:
    """Perplexity and KL to the whole teacher of the `layers` alone, over windows (W, T + 1)."""
    found = []
    for ids in torch.split(windows.to(teacher.device), 8):
        inputs, labels = ids[:, :-1], ids[:, 1:]
        embedded = teacher.embed(inputs)
        context = teacher.context(embedded)
        whole = cut = embedded
        for index in range(len(teacher.layers)):
            whole = teacher.layer(index, whole, context)
        for index in layers:
            cut = teacher.layer(index, cut, context)
        target = Target(teacher.head(teacher.norm(whole)), labels)
        found.append(target.compare(teacher.norm(cut), teacher.head))
    return quality(torch.cat(found).cpu(), windows.shape[1] - 1)


def block_influence(of: Tensor) -> list[float]:
    """How much each layer changes its input: 1 − cos (ShortGPT, arXiv 2403.03853, section 3.1)."""
    return [float(of[index, index + 1]) for index in range(len(of) - 1)]


def least_influential_pruned(of: Tensor, keep: int) -> list[int]:
    """The `keep` layers that ShortGPT's pruning leaves: those of greatest influence, in order."""
    influence = block_influence(of)
    ranked = sorted(range(len(influence)), key=lambda index: -influence[index])
    return sorted(ranked[:keep])
