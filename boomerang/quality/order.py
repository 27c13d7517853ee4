"""In which order to patch: fixed, or greedily by KL to the teacher (KLPatch, arXiv 2607.08170)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from boomerang.composition import Composition, first_to_last, last_to_first
from boomerang.quality.measure import ladder_members, measure
from boomerang.quality.models import Couple

Order = tuple[int, ...]
"""Long student layers in the order in which they are patched."""


@dataclass(frozen=True)
class Chosen:
    """An order, its name, and the calibration KL of every order that was tried.

    `calibration_kl` has one value for each k from 0 to K, in nats per token.
    """

    name: str
    order: Order
    calibration_kl: Mapping[str, tuple[float, ...]]


def klpatch(couple: Couple, windows: Tensor) -> Order:
    """At each size patch the remaining layer that gives the lowest KL over windows (W, T + 1).

    About K²/2 members are measured. Of equals the later layer is taken.
    """
    order: list[int] = []
    remaining = list(last_to_first(couple.layermap))
    while len(remaining) > 1:
        tried = [Composition.patched(couple.layermap, [*order, j]) for j in remaining]
        kls = [quality.kl for quality in measure(couple, windows, tried)]
        order.append(remaining.pop(kls.index(min(kls))))
    return (*order, *remaining)


def choose(couple: Couple, windows: Tensor, wanted: str) -> Chosen:
    """The order `wanted`; `auto` is the one of the three with the lowest mean KL between the ends.

    Of equals the simpler is taken: `last`, then `first`, then `klpatch`.
    """
    makers: dict[str, Callable[[], Order]] = {
        "last": lambda: last_to_first(couple.layermap),
        "first": lambda: first_to_last(couple.layermap),
        "klpatch": lambda: klpatch(couple, windows),
    }
    names = list(makers) if wanted == "auto" else [wanted]
    orders = {name: makers[name]() for name in names}
    kls = {name: ladder_kls(couple, windows, order) for name, order in orders.items()}
    best = min(names, key=lambda name: sum(kls[name][1:-1]))
    return Chosen(best, orders[best], kls)


def ladder_kls(couple: Couple, windows: Tensor, order: Order) -> tuple[float, ...]:
    """KL to the teacher of each member of an order, k = 0 to K."""
    members = list(ladder_members(couple, order))
    return tuple(quality.kl for quality in measure(couple, windows, members))
