"""The passes of one optimiser step: which sequences go together, and which of them fall to whom.

Which blocks are patched is drawn for each of the recipe's micro-batches, whatever the devices and
whatever fits into memory. So the sum of all gradients is the same. Replicas take as many sequences
each, and go their own way; where the models are sharded, all devices go through the same layers in
each pass (docs/decisions/training/many-devices.md).
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from boomerang.distill.parallel.devices import Devices
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe
from boomerang.tokens.loss_mask import label_count, loss_share

ENDS = 0.5
"""How many of the patched sets are prefixes or suffixes."""


def member_for(recipe: Recipe, layermap: LayerMap, step: int, steps: int, part: int) -> Composition:
    """The member that micro-batch `part` of `step` (of `steps`) runs through.

    Depends on nothing but its arguments, so that a run that goes on does what it would have done.
    """
    draw = patched(recipe, step, steps, part)
    return Composition.patched(layermap, patch_set(layermap, draw) if draw else ())


def patched(recipe: Recipe, step: int, steps: int, part: int) -> random.Random | None:
    """Where what is patched in a micro-batch is drawn from; None where it is a plain one."""
    draw = random.Random(f"{recipe.seed}/{step}/{part}")  # noqa: S311
    return draw if draw.random() < probability_at(recipe, step, steps) else None


def probability_at(recipe: Recipe, step: int, steps: int) -> float:
    """How often a pass of a step is patched: nothing at first, then less and less with a fade."""
    begins = recipe.patch_after * steps
    if step < begins:
        return 0.0
    return recipe.patch_probability * (1 - recipe.patch_fade * (step - begins) / (steps - begins))


def patch_set(layermap: LayerMap, draw: random.Random) -> frozenset[int]:
    """A set of long student layers to patch: never all of them, for then nothing is trained.

    The size is uniform, because each size is one member of the ladder. Half of the sets (`ENDS`)
    are prefixes or suffixes of the long layers, the members of the orders `first` and `last`,
    which a uniform draw would almost never hit in the middle sizes of a deep model; an order by
    measure may choose any.
    """
    long = layermap.long
    if len(long) < 2:
        return frozenset()
    return set_of(draw.randrange(1, len(long)), long, ENDS, draw)


def set_of(size: int, long: Sequence[int], ends: float, draw: random.Random) -> frozenset[int]:
    """`size` of the long layers; `ends` of such sets are a prefix or a suffix of them."""
    which = draw.random()
    if which < ends / 2:
        return frozenset(long[:size])
    return frozenset(long[-size:] if which < ends else draw.sample(long, size))


@dataclass(frozen=True)
class Pass:
    """What one process computes: sequences (R, T + 1) through a member.

    `share` is their part of the whole step. Where the models are sharded, a process that no
    sequence fell to goes through one all the same, for a share of nothing: the others need what
    it holds of the layers.
    """

    composition: Composition
    rows: Tensor
    share: float


def passes(
    batch: Tensor, micro_batch: int, member_of: Callable[[int], Composition], per_pass: int,
    devices: Devices, sharded: bool = False,
) -> Iterator[Pass]:  # fmt: skip
    """What this process has to do of a step, whose batch is (B, T + 1).

    `member_of` draws the member that a micro-batch runs through, by its number.
    At most `per_pass` sequences go through a model together. A replica has the sequences from one
    place in the batch to another, and passes for each micro-batch that they are of; none where
    there are fewer sequences than devices. With models that are `sharded`, the micro-batches that
    drew the same member go together, so that all devices have something to do.
    """
    whole = label_count(batch)
    # The micro-batch that each sequence is of.
    places = torch.arange(len(batch)) // micro_batch
    mine, of = (batch, places) if sharded else (devices.share(batch), devices.share(places))
    alike: dict[Composition, list[Tensor]] = {}
    for part in sorted(set(of.tolist())):
        member = member_of(part)
        if sharded:
            alike.setdefault(member, []).append(mine[of == part])
            continue
        for rows in torch.split(mine[of == part], per_pass):
            yield Pass(member, rows, loss_share(rows, whole))
    for member, found in alike.items():
        for rows, weight in shares(torch.cat(found), per_pass, devices, whole):
            yield Pass(member, rows, weight)


def shares(
    rows: Tensor, per_pass: int, devices: Devices, whole: int | None = None
) -> Iterator[tuple[Tensor, float]]:
    """Rows (R, T + 1) in pieces of `per_pass` a device: those of this process, and their share.

    The share is of the tokens to be predicted, in `whole`, which is that of all rows where unsaid.
    """
    whole = label_count(rows) if whole is None else whole
    for piece in torch.split(rows, per_pass * devices.world):
        mine = devices.share(piece)
        yield (mine, loss_share(mine, whole)) if len(mine) else (piece[:1], 0.0)
