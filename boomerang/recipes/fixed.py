"""What all recipes have alike: numbers of the published one, and fields that recipes once had."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from boomerang.errors import BadRecipe

BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1
CLIP = 1.0
"""AdamW's, and the norm that gradients are clipped to (arXiv 2510.05064, arXiv 2608.22854)."""


@dataclass(frozen=True)
class Former:
    """A field that recipes once had: what all have now, as JSON has it, and what to do instead."""

    value: Any
    fix: str


_OPTIMISER = "Leave it out; learning_rate and warmup are what a run is steadied by."
_KEPT = "Leave it out, and list the layers to keep in kept."
_ABLATION = "Leave it out; benchmarks/recipes makes students for such comparisons."

FORMER = {
    "betas": Former([*BETAS], _OPTIMISER),
    "weight_decay": Former(WEIGHT_DECAY, _OPTIMISER),
    "clip": Former(CLIP, _OPTIMISER),
    "first": Former(1, _KEPT),
    "every": Former(2, _KEPT),
    "last": Former(2, _KEPT),
    "initialisation": Former("teacher", _ABLATION),
    "patch_sizes": Former("uniform", _ABLATION),
    "patch_ends": Former(0.5, _ABLATION),
}
DIGESTED = {
    name: FORMER[name].value for name in ("betas", "weight_decay", "clip", "first", "every", "last")
}
"""Those that were there when the first students were made: digests have them for ever."""


def without_former(fields: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """A recipe's fields without those that it once had and that are not `known`.

    Raises BadRecipe where one of them is not what all recipes have now: such a student can no
    longer be made.
    """
    for name in fields.keys() & FORMER.keys() - known:
        former, value = FORMER[name], fields[name]
        if json.loads(json.dumps(value, default=str)) != former.value:
            raise BadRecipe(
                f"{name} is no field of a recipe any more: {value!r} is asked for, and all have "
                f"{former.value!r}.",
                value=value,
                fix=former.fix,
            )
    return {name: value for name, value in fields.items() if name in known or name not in FORMER}
