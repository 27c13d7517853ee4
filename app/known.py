"""What the catalog holds, read again only after something happened.

Every change of families, members and students comes with an event, in one transaction, so the
number of the newest event stands for all of them: one small question instead of a walk through
every family for each request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from boomerang.service.catalog import Catalog
from boomerang.service.records import Family, Member, Student

Value = TypeVar("Value")


@dataclass(frozen=True)
class Known:
    """The records as they were after one event, each read when it is first asked for."""

    catalog: Catalog
    event: int
    _found: dict[tuple[str, str], object] = field(default_factory=dict)

    def _once(self, kind: str, key: str, read: Callable[[], Value]) -> Value:
        # Two threads may both read; they find the same. What is not there is not remembered.
        found = self._found.get((kind, key))
        if found is None:
            found = self._found[kind, key] = read()
        return found  # type: ignore[return-value]

    def families(self) -> tuple[Family, ...]:
        """Every family, newest first."""
        return self._once("families", "", self.catalog.families)

    def names(self) -> dict[str, str]:
        """What each family is called, by id."""
        return self._once("names", "", self.catalog.names)

    def family(self, id_: str) -> Family:
        """One family. Raises FamilyNotFound."""
        return self._once("family", id_, lambda: self.catalog.family(id_))

    def named(self, id_: str) -> str:
        """The id of a family, for one that it has had."""
        return self._once("named", id_, lambda: self.catalog.family_id(id_))

    def members(self, family: str) -> tuple[Member, ...]:
        """The ladder of a family, smallest first. Raises FamilyNotFound."""
        return self._once("members", family, lambda: self.catalog.members(family))

    def student(self, key: str) -> Student:
        """One student, but for how far its distillation is. Raises NotFound."""
        return self._once("student", key, lambda: self.catalog.student(key))
