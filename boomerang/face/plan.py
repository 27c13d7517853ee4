"""Every size of a family before anything is distilled, and what a budget buys of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.face.models import Named, found, open_pair, planned_pair
from boomerang.family.ladder import Bought, Ladder, Member
from boomerang.family.pair import Pair
from boomerang.family.patch_order import PatchOrder, order_of


@dataclass(frozen=True)
class Plan:
    """The members that a teacher and its student make in one patch order, smallest first.

    `bought` is what the budget buys, where one was given.
    """

    pair: Pair
    patch_order: PatchOrder
    ladder: Ladder
    bought: Bought | None = None

    @property
    def members(self) -> tuple[Member, ...]:
        """The sizes on offer, from the student to the teacher."""
        return self.ladder.members


def plan(
    teacher: Named,
    student: Named | None = None,
    budget: Any = None,
    order: str = "last",
    *,
    recipe: str | Path | None = None,
    kept: Sequence[int] | None = None,
) -> Plan:
    """The ladder of a teacher and its student, or of the student that a recipe would make.

    `budget` is a size's name, parameters (`"2.9B"`, 2900000000) or memory (`"6GB:float16"`);
    `order` is `last`, `first`, or the long student layers one by one (`5,3,1`). Only headers are
    read. Raises BudgetOutOfRange, BadBudget, BadComposition, or as `open_pair` and
    `planned_pair`.
    """
    of_teacher = found(teacher)
    if student is None:
        pair = planned_pair(of_teacher, recipe=recipe, kept=kept)
    else:
        pair = open_pair(of_teacher, student, kept=kept)
    patch_order = order_of(pair.layermap, order)
    ladder = Ladder.of(pair, patch_order)
    return Plan(pair, patch_order, ladder, None if budget is None else ladder.buy(budget))
