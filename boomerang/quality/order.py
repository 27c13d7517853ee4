"""In which order to patch: fixed, greedily by KL to the teacher (KLPatch), or each size by itself.

KLPatch: arXiv 2607.08170.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from boomerang.composition import Composition, first_to_last, last_to_first
from boomerang.patch_order import PatchOrder, members_of
from boomerang.quality.models import Couple
from boomerang.quality.search import Judge, search

NESTED = ("last", "first", "klpatch")
MEASURED = (*NESTED, "best")
SECONDS = 15.0
"""How long `best` may search before the sizes that are left keep the best of the other orders."""


@dataclass(frozen=True)
class Chosen:
    """An order, its name, and the calibration KL of every order that was tried.

    `calibration_kl` has one value for each member from the student to the teacher, in nats per
    token.
    """

    name: str
    order: PatchOrder
    calibration_kl: Mapping[str, tuple[float, ...]]


def klpatch(judge: Judge) -> tuple[int, ...]:
    """At each size patch the remaining layer that gives the lowest KL over the judge's text.

    About K²/2 members are measured. Of equals the later layer is taken.
    """
    layermap = judge.couple.layermap
    order: list[int] = []
    remaining = list(last_to_first(layermap))
    while len(remaining) > 1:
        tried = [Composition.patched(layermap, [*order, j]) for j in remaining]
        found = judge(tried)
        kls = [found[member].kl for member in tried]
        order.append(remaining.pop(kls.index(min(kls))))
    return (*order, *remaining)


def choose(
    couple: Couple,
    windows: Tensor,
    wanted: str,
    *,
    seconds: float = SECONDS,
    tick: Callable[[], None] = lambda: None,
) -> Chosen:
    """The order `wanted` by its KL over windows (W, T + 1).

    `auto` is `best`, under the name of a simpler order where every size is that order's.
    """
    judge = Judge(couple, windows, tick)
    layermap = couple.layermap
    makers: dict[str, Callable[[], tuple[int, ...]]] = {
        "last": lambda: last_to_first(layermap),
        "first": lambda: first_to_last(layermap),
        "klpatch": lambda: klpatch(judge),
    }
    names = NESTED if wanted in ("auto", "best") else (wanted,)
    orders: dict[str, PatchOrder] = {name: makers[name]() for name in names}
    ladders = {name: members_of(layermap, order) for name, order in orders.items()}
    if wanted in ("auto", "best"):
        found = search(judge, ladders, seconds)
        orders["best"] = tuple("".join(member.choices) for member in found)
        ladders["best"] = found
    kls = {name: _kls(judge, ladder) for name, ladder in ladders.items()}
    name = wanted
    if wanted == "auto":
        name = next(name for name, ladder in ladders.items() if ladder == ladders["best"])
    return Chosen(name, orders[name], kls)


def given(couple: Couple, windows: Tensor, order: PatchOrder) -> Chosen:
    """An order that was asked for in full. Raises BadComposition where it is none."""
    ladder = members_of(couple.layermap, order)
    return Chosen("given", order, {"given": _kls(Judge(couple, windows), ladder)})


def _kls(judge: Judge, ladder: list[Composition]) -> tuple[float, ...]:
    found = judge(ladder)
    return tuple(found[member].kl for member in ladder)
