"""How large a model may be, as people say it, and the members that this means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, TypeVar

from boomerang.errors import BadBudget, BudgetOutOfRange, SizeNotFound

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "G": 10**9, "T": 10**12}
_MEMORY_UNITS = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8": 1, "int8": 1}
"""Bytes of a weight, by the names that people give the dtypes."""
_MEMORY = re.compile(
    r"\s*(?P<memory>[\d.]+\s*[KMGT]i?B)\s*(?:(?::|\bin\b)\s*(?P<dtype>[a-z0-9]+)\s*)?",
    re.IGNORECASE,
)
"""Bytes, and a dtype where one is said. A plain B is a billion parameters, not a byte."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a member may have: stored parameters."""

    parameters: int
    text: str

    @classmethod
    def parse(cls, value: Any) -> "Budget":
        """Read `"2.9B"`, `2900000000`, `{"params": "2.9B"}` or `{"memory": "6GB", "dtype": …}`.

        Memory is also one text: `"6GB"`, `"6GB:float16"` or, as `text` has it, `"6GB in float16"`.
        It counts the weights alone, in `dtype` (bfloat16 if not given). Raises BadBudget.
        """
        if isinstance(value, str) and (found := _MEMORY.fullmatch(value)):
            value = {name: part for name, part in found.groupdict().items() if part is not None}
        if isinstance(value, dict) and "memory" in value and value.keys() <= {"memory", "dtype"}:
            dtype = str(value.get("dtype", "bfloat16"))
            if dtype not in DTYPE_BYTES:
                raise _bad_budget(dtype)
            total = _quantity(value["memory"], _MEMORY_UNITS)
            return cls(total // DTYPE_BYTES[dtype], f"{value['memory']} in {dtype}")
        if isinstance(value, dict) and value.keys() == {"params"}:
            value = value["params"]
        return cls(_quantity(value, _UNITS), str(value))


def _quantity(value: Any, units: dict[str, int]) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _bad_budget(value)
    if isinstance(value, int) and abs(value) >= 10**20:
        # Not the value itself: Python refuses to write out an int of thousands of digits.
        raise _bad_budget("a number of more than 20 digits")
    match = re.fullmatch(r"\s*(\d{1,20}(?:\.\d{1,20})?)\s*([A-Za-z]{0,3})\s*", str(value))
    if match is None or match[2].upper() not in units:
        raise _bad_budget(value)
    try:
        number = int(Decimal(match[1]) * units[match[2].upper()])
    except InvalidOperation:
        raise _bad_budget(value) from None
    if number < 1:
        raise _bad_budget(value)
    return number


def _bad_budget(value: Any) -> BadBudget:
    return BadBudget(
        f"{value!r} is no budget.",
        value=value,
        fix='Give parameters ("2.9B", 2900000000) or memory ("6GB", "6GB:float16", '
        '{"memory": "6GB", "dtype": "float16"}).',
    )


class Sized(Protocol):
    """A member on offer: the name of its size, and what it has of parameters and patched blocks."""

    @property
    def size(self) -> str: ...  # noqa: D102

    @property
    def parameters(self) -> int: ...  # noqa: D102

    @property
    def k(self) -> int: ...  # noqa: D102


M = TypeVar("M", bound=Sized)


def named(ladders: Sequence[Sequence[M]], size: str) -> tuple[M, ...]:
    """The members whose size is called exactly this, case ignored."""
    wanted = size.casefold()
    return tuple(m for ladder in ladders for m in ladder if m.size.casefold() == wanted)


def within(ladders: Sequence[Sequence[M]], budget: Budget) -> tuple[M, ...]:
    """The largest member within a budget, of each ladder that has one.

    Raises BudgetOutOfRange where none has.
    """
    fitting = [[m for m in ladder if m.parameters <= budget.parameters] for ladder in ladders]
    found = tuple(max(some, key=_rank) for some in fitting if some)
    if not found:
        members = [m for ladder in ladders for m in ladder]
        least, most = min(members, key=_rank), max(members, key=_rank)
        raise BudgetOutOfRange(
            f"A budget of {budget.text} is below the student.",
            value=budget.text,
            fix=f"Sizes go from {least.size} ({least.parameters:,} parameters) to {most.size} "
            f"({most.parameters:,}).",
        )
    return found


def meant(ladders: Sequence[Sequence[M]], size: str) -> tuple[M, ...]:
    """The members that a size means: of exactly that name, else the largest within it as a budget.

    Raises SizeNotFound where it is neither, BudgetOutOfRange as `within`.
    """
    if found := named(ladders, size):
        return found
    if not any(ladders):
        raise no_size(ladders, size)
    try:
        return within(ladders, Budget.parse(size))
    except BadBudget:
        raise no_size(ladders, size) from None


def no_size(ladders: Sequence[Sequence[M]], size: str) -> SizeNotFound:
    """The error for what is neither a size nor a budget."""
    sizes = sorted({(m.parameters, m.size) for ladder in ladders for m in ladder})
    names = (
        f"Sizes: {', '.join(name for _, name in sizes)}." if sizes else "There is no family yet."
    )
    return SizeNotFound(f"There is no size {size!r}.", value=size, fix=names)


def _rank(member: Sized) -> tuple[int, int]:
    return member.parameters, member.k
