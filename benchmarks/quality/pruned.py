"""A teacher cut down to some of its layers without distillation, measured as it stands."""

from collections.abc import Sequence

import torch
from torch import Tensor

from boomerang.modules.causal import Causal
from boomerang.quality.measure import Quality, Target, quality


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
    return quality(torch.cat(found).cpu() / (windows.shape[1] - 1))
