"""A page of families, with what is shown beside them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from boomerang.catalog.records.families import Family, Provisional
from boomerang.catalog.records.students import Student
from boomerang.errors import BadRequest

ShownState = Literal["hashing", "queued", "distilling", "ready", "failed", "cancelled"]
"""The state of a family as it is looked for: its student's, or that its files are being hashed."""
SHOWN_STATES: tuple[ShownState, ...] = get_args(ShownState)


class Place(NamedTuple):
    """Where a page of families begins: after the family with this time and id."""

    created: float
    id: str

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.created!r}~{self.id}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Read what `str` wrote. Raises BadRequest."""
        created, _, id_ = text.partition("~")
        try:
            when = float(created)
        except ValueError:
            when = math.nan
        if not math.isfinite(when):
            raise BadRequest(
                f"{text!r} is no place in the list of families.",
                value=text,
                fix="Follow the `next` of the page before, or leave `before` out.",
            )
        return cls(when, id_)


class SizePlace(NamedTuple):
    """Where a page of sizes begins: after the member with these parameters, family and `k`."""

    parameters: int
    family: str
    k: int

    def __str__(self) -> str:
        """As it stands in an address."""
        return f"{self.parameters}~{self.family}~{self.k}"

    @classmethod
    def parse(cls, text: str) -> "SizePlace":
        """Read what `str` wrote. Raises BadRequest."""
        found = re.fullmatch(r"([0-9]{1,18})~([0-9A-Za-z]{1,16})~([0-9]{1,9})", text)
        if found is None:
            raise BadRequest(
                f"{text!r} is no place in the list of sizes.",
                value=text,
                fix="Follow the `next` of the page before, or leave `after` out.",
            )
        return cls(int(found[1]), found[2], int(found[3]))


class Rung(NamedTuple):
    """What a card says of a member: no more is read of it."""

    family: str
    k: int
    size: str
    parameters: int
    bytes: int
    built: str
    measured: str
    published: str
    kl: float | None
    perplexity: float | None


@dataclass(frozen=True, kw_only=True)
class FamilyPage:
    """Some families, newest first, and where those after them begin, if there are any.

    `students` are theirs by key, `names` what they are called by id.
    """

    families: tuple[Family | Provisional, ...]
    students: Mapping[str, Student]
    names: Mapping[str, str]
    following: Place | None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of those that have a student and members."""
        return tuple(one.id for one in self.families if isinstance(one, Family))
