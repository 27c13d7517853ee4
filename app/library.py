"""Members as files: from a size or a repository's name to byte ranges, without building anything.

Headers are read once for each student and kept; weights are only read while they are sent.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from boomerang.bytefile import ByteFile
from boomerang.errors import BadBudget, BudgetOutOfRange, FileNotInModel, SizeNotFound
from boomerang.ladder import Budget
from boomerang.pair import Pair
from boomerang.service.cards import card_text
from boomerang.service.catalog import Catalog
from boomerang.service.names import NAMESPACE, family_names, repo_id
from boomerang.service.records import Family, Member, Student
from boomerang.service.settings import Settings
from boomerang.service.shelf import member_files, open_pair
from boomerang.tarball import tar

FORMAT = "1"
"""Changed whenever the same member would be written as other bytes."""

KEPT_PAIRS = 32


@dataclass(frozen=True)
class Volume:
    """A member with its files. `revision` names them all: a card that changes is a new one."""

    family: Family
    member: Member
    repo_id: str
    files: dict[str, ByteFile]
    revision: str

    @cached_property
    def tar(self) -> ByteFile:
        """The whole model as one file."""
        return tar(self.files, self.repo_id.rsplit("/", 1)[-1])

    def etag(self, name: str) -> str:
        """A strong validator of one file of it (the empty name: the tar)."""
        return hashlib.sha256(f"{self.revision}/{name}".encode()).hexdigest()[:40]

    def file(self, name: str) -> ByteFile:
        """One file. Raises FileNotInModel."""
        if name not in self.files:
            raise FileNotInModel(
                f"{self.repo_id} has no file {name!r}.",
                value=name,
                fix=f"It has {', '.join(sorted(self.files))}.",
            )
        return self.files[name]


class Library:
    """Finds members and opens their files. Safe to use from many threads."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._pairs: dict[tuple[str, int], Pair] = {}
        self._lock = Lock()

    def names(self) -> dict[str, str]:
        """What each family is called, by id."""
        return family_names(self._catalog.families())

    def find(self, size: str, family: str | None) -> tuple[Member, ...]:
        """The members that a size means: by exact name, else the largest within it as a budget.

        With no family given there may be several. Raises FamilyNotFound, SizeNotFound,
        BudgetOutOfRange.
        """
        if family is not None:
            self._catalog.family(family)
        exact = self._catalog.find_members(size, family)
        if exact:
            return exact
        families = [family] if family is not None else [f.id for f in self._catalog.families()]
        ladders = [self._catalog.members(one) for one in families]
        if not re.fullmatch(r"[0-9A-Za-z.\-]{1,40}", size):
            raise _no_size(size, ladders)
        try:
            budget = Budget.parse(size)
        except BadBudget:
            raise _no_size(size, ladders) from None
        fitting = [[m for m in ladder if m.parameters <= budget.parameters] for ladder in ladders]
        best = [max(some, key=lambda m: (m.parameters, m.k)) for some in fitting if some]
        if not best:
            if not any(ladders):
                raise _no_size(size, ladders)
            raise BudgetOutOfRange(
                f"A budget of {size} is below every student.", value=size, fix=_sizes(ladders)
            )
        return tuple(best)

    def by_repo(self, repo: str) -> tuple[Family, Member] | None:
        """The member that is served under a repository's name, if there is one."""
        if not repo.startswith(NAMESPACE + "/"):
            return None
        families = {family.id: family for family in self._catalog.families()}
        for id_, name in self.names().items():
            if not repo.startswith(f"{NAMESPACE}/{name}-"):
                continue
            for member in self._catalog.members(id_):
                if repo_id(name, member) == repo:
                    return families[id_], member
        return None

    def open(self, family: Family, member: Member) -> Volume:
        """The files of a member. Raises NotReady before the student is there, or SourceChanged."""
        student = self._catalog.student(family.student)
        pair = self._pair(student)
        members = self._catalog.members(family.id)
        repo = repo_id(self.names()[family.id], member)
        card = card_text(pair, family, student, members, member, repo)
        files = member_files(self._settings, pair, family, member, card=card)
        made_of = f"{FORMAT}\n{member.digest}\n{self._settings.shard_size}\n{card}"
        small = (file for name, file in sorted(files.items()) if name.endswith(".json"))
        total = hashlib.sha256(made_of.encode())
        for file in small:
            total.update(str(file.size).encode())
        return Volume(family, member, repo, files, total.hexdigest()[:40])

    def forget(self, student: str) -> None:
        """Read a student's headers anew at the next request."""
        with self._lock:
            for key in [key for key in self._pairs if key[0] == student]:
                del self._pairs[key]

    def _pair(self, student: Student) -> Pair:
        key = (student.key, student.generation)
        with self._lock:
            found = self._pairs.get(key)
        if found is None or not student.state.over:
            found = open_pair(self._settings, student, verify=False)
            with self._lock:
                while len(self._pairs) >= KEPT_PAIRS:
                    del self._pairs[next(iter(self._pairs))]
                self._pairs[key] = found
        return found


def _sizes(ladders: Sequence[Sequence[Member]]) -> str:
    names = sorted({(m.parameters, m.size) for ladder in ladders for m in ladder})
    return f"Sizes: {', '.join(name for _, name in names)}." if names else "There is no family yet."


def _no_size(size: str, ladders: Sequence[Sequence[Member]]) -> SizeNotFound:
    return SizeNotFound(f"There is no size {size!r}.", value=size, fix=_sizes(ladders))
