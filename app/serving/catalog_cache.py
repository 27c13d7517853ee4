"""What the catalog holds, read again only as far as something happened, and what is found in it.

Every change of families, members and students comes with an event, in one transaction, so the
events since the newest that is known say what to read anew: one small question for each request,
instead of a walk through every family.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NAMESPACE, Family, Member, repo_id
from boomerang.catalog.records.states import Changes
from boomerang.catalog.records.students import Student
from boomerang.errors import FamilyNotFound, NotReady
from boomerang.family.budget import meant, named, no_size

Value = TypeVar("Value")

_OF_ALL = ("families", "names", "named", "told")
_TOLD_BYTES = 1 << 23
"""The longest answer that is kept as it was sent."""


@dataclass(frozen=True)
class Snapshot:
    """The records as they were after one event, each read when it is first asked for."""

    catalog: Catalog
    event: int
    _found: dict[tuple[str, str], object] = field(default_factory=dict)

    def renewed(self) -> "Snapshot":
        """What is known now: this, but for what changed since."""
        changes = self.catalog.changes_after(self.event)
        if changes.newest == self.event:
            return self
        # With an event of before this one, the catalog is another.
        known = 0 <= self.event < changes.newest
        # A new one, so that what a slow thread still reads for the old one is not taken for new.
        return Snapshot(self.catalog, changes.newest, self._untouched(changes) if known else {})

    def _untouched(self, changes: Changes) -> dict[tuple[str, str], object]:
        found = dict(self._found)
        families = [value for (kind, _), value in found.items() if kind == "family"]
        families += found.get(("families", ""), ())  # type: ignore[arg-type]
        # What happens to a student happens to its families.
        theirs = {one.id for one in families if one.student in changes.students}  # type: ignore[attr-defined]
        touched = {"family": changes.families | theirs, "student": changes.students}
        touched["members"] = touched["name"] = touched["family"]
        if touched["family"]:
            touched |= dict.fromkeys(_OF_ALL, frozenset(key for _, key in found))
        return {
            (kind, key): value
            for (kind, key), value in found.items()
            if key not in touched.get(kind, ())
        }

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

    def names_of(self, ids: Iterable[str]) -> dict[str, str]:
        """What some families are called, by id; those that are not known are asked for at once."""
        wanted = set(ids)
        lacking = [id_ for id_ in wanted if ("name", id_) not in self._found]
        read = self.catalog.names_of(lacking) if lacking else {}
        self._found.update({("name", id_): name for id_, name in read.items()})
        return {
            id_: str(self._found["name", id_]) for id_ in wanted if ("name", id_) in self._found
        }

    def name(self, id_: str) -> str:
        """What one family is called. Raises FamilyNotFound."""
        found = self.names_of([id_])
        if not found:
            raise FamilyNotFound(
                f"There is no family {id_!r}.", value=id_, fix="GET /families lists them."
            )
        return found[id_]

    def family(self, id_: str) -> Family:
        """One family. Raises FamilyNotFound."""
        return self._once("family", id_, lambda: self.catalog.family(id_))

    def named(self, id_: str) -> str:
        """The id of a family, for one that it has had."""
        return self._once("named", id_, lambda: self.catalog.family_id(id_))

    def members(self, family: str) -> tuple[Member, ...]:
        """The ladder of a family, smallest first. Raises FamilyNotFound."""
        return self._once("members", family, lambda: self.catalog.members(family))

    def ladders(self) -> Mapping[str, tuple[Member, ...]]:
        """The ladder of every family, by id; what is not known of them is read at once."""
        ids = [family.id for family in self.families()]
        lacking = [id_ for id_ in ids if ("members", id_) not in self._found]
        read = self.catalog.ladders(lacking) if lacking else {}
        self._found.update({("members", id_): read.get(id_, ()) for id_ in lacking})
        return {id_: self.members(id_) for id_ in ids}

    def told(self, make: Callable[[], bytes]) -> bytes:
        """What is answered to who asks for the sizes of all families, made once."""
        found = self._found.get(("told", ""))
        if isinstance(found, bytes):
            return found
        made = make()
        if len(made) <= _TOLD_BYTES:
            self._found["told", ""] = made
        return made

    def student(self, key: str) -> Student:
        """One student, but for how far its distillation is. Raises NotFound."""
        return self._once("student", key, lambda: self.catalog.student(key))


class CatalogCache:
    """What the catalog holds, as it was last read. Safe to use from many threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._snapshot = Snapshot(catalog, -1)

    def now(self) -> Snapshot:
        """What the catalog holds now."""
        self._snapshot = snapshot = self._snapshot.renewed()
        return snapshot


_SIZE = re.compile(r"[0-9A-Za-z.:\-]{1,40}")


def by_size(snapshot: Snapshot, size: str, family: str | None) -> tuple[Member, ...]:
    """The members that a size means: by exact name, else the largest within it as a budget.

    With no family given there may be several. A size of a ladder that was provisional, and that has
    it no more, is what its parameters buy. Raises FamilyNotFound, SizeNotFound,
    BudgetOutOfRange.
    """
    fits = _SIZE.fullmatch(size) is not None
    # By an index; only what is no size of any is looked for in every ladder.
    if family is None and fits and (exact := snapshot.catalog.members_of_size(size)):
        return exact
    every = snapshot.ladders().values() if family is None else (by_family(snapshot, family),)
    ladders = list(every)
    if not fits:
        raise no_size(ladders, size)
    if not named(ladders, size) and (instead := _instead(snapshot, size, family)):
        return instead
    return meant(ladders, size)


def _instead(snapshot: Snapshot, size: str, family: str | None) -> tuple[Member, ...]:
    """What a size that is no more stands for: the largest within it, else the smallest there is."""
    of = snapshot.families()
    if family is not None:
        of = tuple(one for one in of if one.id == snapshot.named(family))
    found = []
    for one in of:
        was = {name.casefold(): count for name, count in (one.replaced or {}).items()}
        if size.casefold() in was and (ladder := snapshot.members(one.id)):
            least = was[size.casefold()]
            fitting = [member for member in ladder if member.parameters <= least]
            found.append(fitting[-1] if fitting else ladder[0])
    return tuple(found)


def by_family(snapshot: Snapshot, family: str) -> tuple[Member, ...]:
    """The ladder of a family, also by an id that it has had.

    Raises FamilyNotFound, NotReady where its files are still being hashed.
    """
    try:
        return snapshot.members(snapshot.named(family))
    except FamilyNotFound:
        if snapshot.catalog.waiting(family) is None:
            raise
        raise NotReady(
            f"The files of family {family} are being hashed.",
            value=family,
            fix="Wait for it: GET /families/{id}/events tells how far it is.",
        ) from None


def by_repo(snapshot: Snapshot, repo: str) -> Member | None:
    """The member that is served under a repository's name, if there is one."""
    if not repo.startswith(NAMESPACE + "/"):
        return None
    for id_, name in snapshot.names().items():
        if repo.startswith(f"{NAMESPACE}/{name}-"):
            for member in snapshot.members(id_):
                if repo_id(name, member) == repo:
                    return member
    return None
