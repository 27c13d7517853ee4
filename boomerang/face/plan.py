"""Two models, the pair that they are, and every size of it before anything is distilled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.family.ladder import Bought, Ladder, Member
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import CONTEXT, Memory, Need, RuntimeName, cached_as, item_bytes
from boomerang.family.order_forms import PatchOrder, order_of
from boomerang.family.pair import Pair
from boomerang.hub.find import Found, find
from boomerang.recipes.maps import DEFAULT, PUBLISHED

Named = str | Path | Found
"""A folder's path, a Hub repo id, or what was found under one of them."""


def found(model: Named) -> Found:
    """The model that is named, headers only. Raises as `find`."""
    return model if isinstance(model, Found) else find(str(model))


def open_pair(teacher: Named, student: Named, *, kept: Sequence[int] | None = None) -> Pair:
    """A teacher and a student, each a folder or a Hub repo id, checked against each other.

    `kept` says which of the teacher's layers a student keeps that does not say so itself. Only
    headers are read, and of folders the embeddings, which are compared. Raises StudentMismatch,
    UnsupportedArchitecture, or as `find`.
    """
    of_teacher, of_student = found(teacher), found(student)
    # Comparing embeddings byte for byte would read weights; a remote student is believed.
    verify = of_student.folder is not None
    return Pair.of(of_teacher.checkpoint, of_student.checkpoint, kept=kept, verify=verify)


def planned_pair(
    teacher: Named, *, recipe: str | Path | None = None, kept: Sequence[int] | None = None
) -> Pair:
    """The pair that distilling would make by a recipe (the published one), keeping `kept`.

    Of a recipe that measures which layers to keep it is that of the published ones. Raises
    BadRecipe, StudentMismatch, UnsupportedArchitecture, or as `find`.
    """
    checkpoint = found(teacher).checkpoint
    anatomy = dissect(checkpoint)
    if recipe is None and kept is None:
        layermap = LayerMap.keeping_kinds(anatomy.kinds)
        return Pair.planned(checkpoint, layermap, frozen=anatomy.tied)
    from boomerang.recipes.recipe import Recipe  # noqa: PLC0415 - slower than a whole plan

    chosen = Recipe.load(recipe or "default")
    if kept is not None:
        chosen = chosen.override(kept=tuple(kept))
    frozen = chosen.freezes(anatomy.tied)
    return Pair.planned(checkpoint, chosen.layermap(anatomy.kinds), frozen=frozen)


@dataclass(frozen=True)
class Plan:
    """The members that a teacher and its student make in one patch order, smallest first.

    `bought` is what the budget buys, where one was given. A `provisional` ladder is of as many
    layers as the student will keep: which ones is to be measured first.
    """

    pair: Pair
    patch_order: PatchOrder
    ladder: Ladder
    bought: Bought | None = None
    provisional: bool = False

    @property
    def members(self) -> tuple[Member, ...]:
        """The sizes on offer, from the student to the teacher."""
        return self.ladder.members

    def needs(
        self, context: int = CONTEXT, *, dtype: str | None = None,
        runtime: RuntimeName = "transformers",
    ) -> tuple[Need, ...]:  # fmt: skip
        """What running each member takes of memory: weights, keys and values, and the runtime.

        Weights are as stored, or in `dtype`; the sequence has `context` tokens. Raises BadRequest
        for a dtype of no such name.
        """
        memory, kept = Memory.of(self.pair.teacher), cached_as(dtype or "bfloat16")
        return tuple(
            memory.needs(
                member.bytes if dtype is None else member.parameters * item_bytes(dtype),
                [layer.teacher_index for layer in member.composition.layers],
                context, dtype=kept, runtime=runtime,
            )
            for member in self.members
        )  # fmt: skip


def plan(
    teacher: Named, student: Named | None = None, budget: Any = None, order: str = "last", *,
    recipe: str | Path | None = None, kept: Sequence[int] | None = None,
) -> Plan:  # fmt: skip
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
    bought = None if budget is None else ladder.buy(budget)
    provisional = student is None and kept is None and _measures(recipe)
    return Plan(pair, patch_order, ladder, bought, provisional)


def _measures(recipe: str | Path | None) -> bool:
    if recipe is None:
        return DEFAULT != PUBLISHED
    from boomerang.recipes.recipe import Recipe  # noqa: PLC0415 - as above

    return Recipe.load(recipe).measures
