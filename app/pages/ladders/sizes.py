"""The sizes of a ladder as a page shows them: what each needs, which is meant, in which order."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.pages.ladders.series import Series, side_of
from boomerang.catalog.records.families import Family, Member, Request
from boomerang.catalog.records.students import Student
from boomerang.errors import BoomerangError
from boomerang.family.budget import meant
from boomerang.family.composition import Choice
from boomerang.family.fits import DEVICES, fits
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import CONTEXT, GIB, Need
from boomerang.service.models.needs import needs_of

CONTEXTS = (2048, 8192, 32768, 131072)
"""Lengths of a sequence, in tokens, that a page tells the memory of."""
SORTS = ("parameters", "layers", "bytes", "memory", "naive_perplexity", "state")
"""Columns that a table is sorted by, beside those of its figures."""
_STATES = ("published", "built", "publishing", "building", "failed", "possible", "planned")


@dataclass(frozen=True, slots=True)
class Size:
    """One size as a page shows it: its record, what running it takes, and what it is called.

    `fits` is the smallest usual device that holds it, None where none does. `teachers` are the
    runs of the teacher's layers in its picture, as (first, number) of `depth`. `figures` has what
    was measured, in words, by the key of the series, and `values` in numbers; `dips` in which of
    them a smaller size is better.
    """

    member: Member
    side: str
    state: str
    need: Need
    fits: str | None
    teachers: tuple[tuple[int, int], ...]
    depth: int
    figures: Mapping[str, str | None]
    values: Mapping[str, float | None]
    dips: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the size is called."""
        return self.member.size

    @property
    def rank(self) -> int:
        """How far it has come, as a number to sort by: the furthest first."""
        return _STATES.index(self.state)

    def told(self, record: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What is to be said of it beside its figures, as (kind, sentence), of its JSON."""
        found = [("warning", flag) for flag in record["flags"] or ()]
        why = record["built_reason"] or record["published_reason"]
        if self.state in ("failed", "publishing") and why:
            found.append(("reason", why))
        if record["measured"] != "yes" and record["measured_reason"]:
            found.append(("reason", record["measured_reason"]))
        return found


def sizes_of(
    family: Family, student: Student, members: Sequence[Member], series: Sequence[Series],
    context: int = CONTEXT,
) -> tuple[Size, ...]:  # fmt: skip
    """Every size of a family, smallest first; `context` is the tokens of a sequence."""
    needs = needs_of(family, student, members, context)
    layermap = LayerMap(student.kept, student.layers)
    return tuple(
        Size(
            member,
            side_of(member),
            state_of(member, ready=student.state == "ready"),
            need,
            next((f"{size} GB" for size in DEVICES if need.total <= size * GIB), None),
            _runs(member.code, layermap),
            layermap.layers,
            {one.key: one.shown(member.size) for one in series},
            {one.key: one.value(member.size) for one in series},
            tuple(one.name for one in series if member.size in one.worse),
        )
        for member, need in zip(members, needs, strict=True)
    )


def bands(sizes: Sequence[Size]) -> list[tuple[str, float]]:
    """What devices of the usual memories hold, as (label, most parameters), smallest first."""
    found = fits([(one.member.parameters, one.need.total) for one in sizes])
    most = max((one.member.parameters for one in sizes), default=0)
    return [(one.label, float(most if one.parameters is None else one.parameters)) for one in found]


def chosen_of(
    members: Sequence[Member], asked: str | None, family: Family, requests: Sequence[Request]
) -> str | None:
    """The size that a page is about: which was asked for here, else with the family, else one in
    the middle. None of a ladder without sizes.
    """
    wanted = [asked, *(one.what for one in requests if one.what != "*")]
    wanted.append(str(family.request.get("budget") or ""))
    for what in filter(None, wanted):
        with suppress(BoomerangError):
            return meant([members], what)[0].size
    return members[len(members) // 2].size if members else None


def ordered(sizes: Sequence[Size], by: str) -> list[Size]:
    """Sizes in the order of a column (`-` before its name: from the largest down).

    A column is one of SORTS, or the key of a series. Those without a figure come last.
    """
    column = by.removeprefix("-")
    known = [one for one in sizes if _key(one, column) is not None]
    rest = [one for one in sizes if _key(one, column) is None]
    return sorted(known, key=lambda one: _key(one, column), reverse=by.startswith("-")) + rest


def _key(size: Size, column: str) -> Any:
    if column == "memory":
        return size.need.total
    if column == "state":
        return size.rank
    return size.values[column] if column in size.values else getattr(size.member, column)


def state_of(member: Member, *, ready: bool) -> str:
    """What is there of a size, in one word: the furthest that it has come."""
    if member.published == "yes":
        return "published"
    if member.built == "yes":
        return "built"
    if "failed" in (member.built, member.published):
        return "failed"
    if member.published == "running":
        return "publishing"
    if member.built == "running":
        return "building"
    return "possible" if ready else "planned"


def _runs(code: str, layermap: LayerMap) -> tuple[tuple[int, int], ...]:
    """Where the teacher's layers stand: runs of them as (first, number)."""
    found = list[tuple[int, int]]()
    for letter, block in zip(code.partition("+")[0], layermap.blocks, strict=False):
        if letter == Choice.STUDENT:
            continue
        wide = len(block) if letter == Choice.BLOCK else 1
        if found and sum(found[-1]) == block.start:
            found[-1] = (found[-1][0], found[-1][1] + wide)
        else:
            found.append((block.start, wide))
    return tuple(found)
