"""The passes of one optimiser step: which sequences go together, and which of them fall to whom.

Which blocks are patched is drawn for each of the recipe's micro-batches, whatever the devices and
whatever fits into memory. So the sum of all gradients is the same, and in each pass all devices go
through the same layers (docs/decisions/many-devices.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from boomerang.composition import Composition
from boomerang.distill.devices import Devices
from boomerang.distill.marks import labels, share
from boomerang.distill.patching import member_for
from boomerang.distill.recipe import Recipe
from boomerang.layermap import LayerMap


@dataclass(frozen=True)
class Pass:
    """What one process computes: sequences (R, T + 1) through a member.

    `share` is their part of the whole step. A process that no sequence fell to goes through one
    all the same, for a share of nothing: the others need what it holds of the layers.
    """

    composition: Composition
    rows: Tensor
    share: float


def passes(
    batch: Tensor, recipe: Recipe, layermap: LayerMap, step: int, steps: int, at_once: int,
    devices: Devices,
) -> Iterator[Pass]:  # fmt: skip
    """The passes of `step` over its batch (B, T + 1), `at_once` sequences at most on a device.

    With many devices the micro-batches that drew the same member go together, so that all devices
    have something to do.
    """
    parts = [
        (member_for(recipe, layermap, recipe.seed, step, steps, part), rows)
        for part, rows in enumerate(torch.split(batch, recipe.micro_batch))
    ]
    if not devices.alone:
        alike: dict[Composition, list[Tensor]] = {}
        for composition, rows in parts:
            alike.setdefault(composition, []).append(rows)
        parts = [(composition, torch.cat(rows)) for composition, rows in alike.items()]
    whole = labels(batch)
    for composition, rows in parts:
        for mine, part in shares(rows, at_once, devices, whole):
            yield Pass(composition, mine, part)


def shares(
    rows: Tensor, at_once: int, devices: Devices, whole: int | None = None
) -> Iterator[tuple[Tensor, float]]:
    """Rows (R, T + 1) in pieces of `at_once` a device: those of this process, and their share.

    The share is of the tokens to be predicted, in `whole`, which is that of all rows where unsaid.
    """
    whole = labels(rows) if whole is None else whole
    for piece in torch.split(rows, at_once * devices.world):
        mine = devices.share(piece)
        yield (mine, share(mine, whole)) if len(mine) else (piece[:1], 0.0)
