"""Every member of a family in one patch order, and the one of them that a budget buys.

All counts come from headers: a ladder is known before anything is distilled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from boomerang.architecture.supported import Part
from boomerang.checkpoint.header import ITEM_BYTES
from boomerang.family.budget import Budget, meant, named, within
from boomerang.family.composition import Composition
from boomerang.family.member_config import is_tied
from boomerang.family.order_forms import members_of
from boomerang.family.pair import Pair


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a family. `k` counts the patched blocks; `parameters` are stored ones.

    `size` is its name; `bytes` are those of its tensors.
    """

    size: str
    k: int
    composition: Composition
    parameters: int
    bytes: int
    layers: int
    tied: bool


@dataclass(frozen=True, slots=True)
class Bought:
    """What a budget buys; `exact` says that it was the member's own name."""

    budget: Budget
    member: Member
    exact: bool

    def json(self) -> dict[str, Any]:
        """As JSON; `below_by` is by how many parameters the member is below the budget."""
        below = self.budget.parameters - self.member.parameters
        return {
            "asked": self.budget.text,
            "size": self.member.size,
            "parameters": self.member.parameters,
            "below_by": 0 if self.exact else below,
        }


@dataclass(frozen=True, slots=True)
class Ladder:
    """The members on offer, from the student (first) to the teacher (last)."""

    members: tuple[Member, ...]

    @classmethod
    def of(cls, pair: Pair, patch_order: Sequence[int] | Sequence[str]) -> "Ladder":
        """Every member of `patch_order`, which is nested or free (patch_order.py).

        Members that are not smaller than the teacher, as untied ones can be, are left out.
        Raises BadComposition for an order that is neither.
        """
        compositions = members_of(pair.layermap, patch_order)
        members = [_member(pair, k, member) for k, member in enumerate(compositions)]
        teacher = members[-1]
        offered = [m for m in members[:-1] if m.parameters < teacher.parameters]
        offered.sort(key=lambda member: (member.parameters, member.k))
        return cls(tuple(_named([*offered, teacher])))

    @property
    def student(self) -> Member:
        """The smallest member."""
        return self.members[0]

    @property
    def teacher(self) -> Member:
        """The largest member: the teacher itself."""
        return self.members[-1]

    def resolve(self, size: str) -> Member:
        """The member of exactly that size, else the largest within the size read as a budget.

        Raises SizeNotFound where it is neither, BudgetOutOfRange below the student.
        """
        return meant([self.members], size)[0]

    def buy(self, asked: Any) -> Bought:
        """What a budget buys: a `Budget`, what `Budget.parse` reads, or a size's name.

        Raises BadBudget, BudgetOutOfRange below the student.
        """
        if isinstance(asked, str) and (exact := named([self.members], asked)):
            return Bought(Budget(exact[0].parameters, asked), exact[0], exact=True)
        budget = asked if isinstance(asked, Budget) else Budget.parse(asked)
        if exact := named([self.members], budget.text):
            return Bought(budget, exact[0], exact=True)
        return Bought(budget, within([self.members], budget)[0], exact=False)


def _member(pair: Pair, k: int, composition: Composition) -> Member:
    tied = is_tied(pair, composition)
    parameters, size = _ends(pair, composition, tied)
    for layer in composition.layers:
        # All layers of a model have one shape: the teacher's layer counts for the student's too.
        for role, tensor in pair.layers[layer.teacher_index]:
            parameters += tensor.parameters
            size += tensor.parameters * ITEM_BYTES[pair.dtypes[role]]
    return Member("", k, composition, parameters, size, len(composition.layers), tied)


def _ends(pair: Pair, composition: Composition, tied: bool) -> tuple[int, int]:
    anatomy = pair.side(composition.embeddings)
    found = anatomy.part(Part.EMBEDDINGS) + pair.side(composition.norm).part(Part.NORM)
    parameters = sum(tensor.parameters for _, tensor in found)
    size = sum(tensor.parameters * ITEM_BYTES[pair.dtypes[role]] for role, tensor in found)
    head = pair.side(composition.head)
    counts = {head.architecture.head: head.head_tensor.parameters}
    counts |= {role: tensor.parameters for role, tensor in head.part(Part.HEAD)}
    stored = counts.keys() - set(head.architecture.tied_roles if tied else ())
    parameters += sum(counts[role] for role in stored)
    size += sum(counts[role] * ITEM_BYTES[pair.dtypes[role]] for role in stored)
    return parameters, size


def _named(members: list[Member]) -> Iterator[Member]:
    """Name each by its parameters: three significant digits, more where two would collide."""
    for member in members:
        others = [m for m in members if m.parameters != member.parameters]
        digits = 3
        name = short_count(member.parameters, digits)
        while digits < 15 and any(short_count(o.parameters, digits) == name for o in others):
            digits += 1
            name = short_count(member.parameters, digits)
        if any(m.parameters == member.parameters and m is not member for m in members):
            name += "-" + member.composition.digest("", "")[:6]
        yield replace(member, size=name)


def short_count(count: int, digits: int = 3) -> str:
    """A count to so many significant digits: 2912229120 → `2.91B`, 912000 → `912K`."""
    for unit, scale in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        # 999,999 rounds up to the next unit, and is then written in it.
        if count >= scale or float(f"{count / scale:.{digits}g}") >= 1:
            return _plain(Decimal(count) / scale, digits) + unit
    return str(count)


def _plain(value: Decimal, digits: int) -> str:
    text = f"{value:.{digits}g}"
    whole = f"{Decimal(text):f}"
    have = len(whole.replace(".", "").lstrip("0"))
    if have >= digits:
        return whole
    return whole + ("" if "." in whole else ".") + "0" * (digits - have)
