"""In which order to patch: fixed, greedily by KL to the teacher (KLPatch), or each size by itself.

KLPatch: arXiv 2607.08170.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from boomerang.family.composition import Composition, first_to_last, last_to_first
from boomerang.family.order_forms import PatchOrder, members_of
from boomerang.modules.couple import Couple
from boomerang.quality.choosing.scores import Scores
from boomerang.quality.choosing.search import EVALUATIONS, Judge, search

NESTED = ("last", "first", "klpatch")
MEASURED = (*NESTED, "best")
CALIBRATION = 4096
"""Tokens that an order is chosen on: four times as many chose no better (docs/experiments.md)."""
LEAST = 1024
"""Tokens from which on an order is clear (docs/experiments.md)."""
WINDOW = 256
"""Tokens of a window at most, so that there are enough windows to tell a gain from noise."""
FINALISTS = 4
"""Members that KLPatch measures on all of the text at each size; the others are looked at."""


@dataclass(frozen=True)
class Chosen:
    """An order, its name, and the calibration KL of every order that was tried.

    `calibration_kl` has one value for each member from the student to the teacher, in nats per
    token. `evaluations` counts the members measured on all of the text, looks by their part;
    `unfinished` are the depths, in layers, where the budget of the search was not enough. `third`
    says whether the teacher's own first layer of a block was among the choices.
    """

    name: str
    order: PatchOrder
    calibration_kl: Mapping[str, tuple[float, ...]]
    evaluations: float = 0.0
    unfinished: tuple[int, ...] = ()
    third: bool = True

    @property
    def note(self) -> str | None:
        """What was not searched, in sentences; None where nothing was left out."""
        said = []
        if self.unfinished:
            inner = len(self.calibration_kl[self.name]) - 2
            said.append(
                f"The search for the best sizes ended at its budget of {EVALUATIONS} measurements: "
                f"at {len(self.unfinished)} of {inner} sizes some choices of layers were not tried."
            )
        if not self.third:
            said.append(
                "The teacher's own first layer in a block's place was not tried: for each block "
                "the student's layer is nearer."
            )
        return " ".join(said) or None


def klpatch(judge: Judge) -> tuple[int, ...]:
    """At each size patch the remaining layer that gives the lowest KL over the judge's text.

    About K²/2 members are looked at, and the best few of each size measured on all of the text. Of
    equals the later layer is taken.
    """
    layermap = judge.couple.layermap
    order: list[int] = []
    remaining = list(last_to_first(layermap))
    while len(remaining) > 1:
        tried = [Composition.patched(layermap, [*order, j]) for j in remaining]
        (best, *_), _ = judge.best(tried, FINALISTS // 2)
        order.append(remaining.pop(tried.index(best)))
    return (*order, *remaining)


def chosen_on(heldout: int) -> int:
    """Tokens that an order is chosen on for a family that is measured on so many.

    A sixteenth, so that choosing costs no more than measuring; within what an order needs, and no
    more than are measured on.
    """
    return min(heldout, max(LEAST, min(CALIBRATION, heldout // 16)))


def choose(
    couple: Couple, windows: Tensor, wanted: str, *, evaluations: float = EVALUATIONS,
    told: Callable[[float, float], None] = lambda spent, most: None,
) -> Chosen:  # fmt: skip
    """The order `wanted` by its KL over windows (W, T + 1).

    `best` may take so many `evaluations` beyond those of the other orders. `auto` is `best`, under
    the name of a simpler order where every size is that order's. `told` hears what was spent so
    far, and what may be at most, as a Judge counts it.
    """
    judge = Judge(couple, windows, told)
    layermap = couple.layermap
    makers: dict[str, Callable[[], tuple[int, ...]]] = {
        "last": lambda: last_to_first(layermap),
        "first": lambda: first_to_last(layermap),
        "klpatch": lambda: klpatch(judge),
    }
    names = NESTED if wanted in ("auto", "best") else (wanted,)
    judge.most = _most(judge, names, evaluations if wanted in ("auto", "best") else 0.0)
    orders: dict[str, PatchOrder] = {name: makers[name]() for name in names}
    ladders = {name: members_of(layermap, order) for name, order in orders.items()}
    unfinished: tuple[int, ...] = ()
    third = False
    if wanted in ("auto", "best"):
        scores = Scores.of(judge)
        third, ends = scores.third, ladders["last"]
        sums = [ends[0], *scores.members(), ends[-1]]
        found = search(judge, {**ladders, "scores": sums}, evaluations, third=third)
        orders["best"] = tuple("".join(member.choices) for member in found.members)
        ladders["best"], unfinished = found.members, found.unfinished
    kls = {name: _kls(judge, ladder) for name, ladder in ladders.items()}
    name = wanted
    if wanted == "auto":
        name = next(name for name, ladder in ladders.items() if ladder == ladders["best"])
    return Chosen(name, orders[name], kls, judge.spent, unfinished, third or name in NESTED)


def _most(judge: Judge, names: Sequence[str], evaluations: float) -> float:
    """What a choice among these orders costs where no two of them have a member in common."""
    layermap = judge.couple.layermap
    blocks, layers_between = len(layermap.long), layermap.layers - len(layermap.kept) - 1
    looks = sum(n * judge.cost(whole=False) + min(n, FINALISTS) for n in range(2, blocks + 1))
    # Both choices for each block alone, and their sums at each depth.
    scored = 2 * blocks + layers_between if evaluations else 0
    return len(names) * (blocks + 1) + looks * ("klpatch" in names) + scored + evaluations


def given(couple: Couple, windows: Tensor, order: PatchOrder) -> Chosen:
    """An order that was asked for in full. Raises BadComposition where it is none."""
    ladder = members_of(couple.layermap, order)
    return Chosen("given", order, {"given": _kls(Judge(couple, windows), ladder)})


def _kls(judge: Judge, ladder: list[Composition]) -> tuple[float, ...]:
    found = judge(ladder)
    return tuple(found[member].kl for member in ladder)
