"""Members as files: from a size or a repository's name to byte ranges, without building anything.

Headers are read once for each student and kept; weights are only read while they are sent.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock

from boomerang.bytefile import ByteFile, Literal
from boomerang.content import files_of
from boomerang.errors import (
    BadBudget,
    BudgetOutOfRange,
    FileNotInModel,
    SizeNotFound,
    SourceChanged,
)
from boomerang.ladder import Budget
from boomerang.pair import RECORD, Pair
from boomerang.service.cards import card_text
from boomerang.service.catalog import Catalog
from boomerang.service.names import NAMESPACE, family_names, repo_id
from boomerang.service.records import Family, Member, Student, StudentState
from boomerang.service.settings import Settings
from boomerang.service.shelf import check_unchanged, member_files, open_pair
from boomerang.tarball import tar

FORMAT = "1"
"""Changed whenever the same member would be written as other bytes."""

KEPT_PAIRS = 32

_SIZE = re.compile(r"[0-9A-Za-z.\-]{1,40}")


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


class Volumes:
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
        families = [family] if family is not None else [f.id for f in self._catalog.families()]
        ladders = [self._catalog.members(one) for one in families]
        if not _SIZE.fullmatch(size):
            raise _no_size(size, ladders)
        exact = [m for ladder in ladders for m in ladder if m.size.casefold() == size.casefold()]
        if exact:
            return tuple(exact)
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

    def by_repo(self, repo: str) -> Member | None:
        """The member that is served under a repository's name, if there is one."""
        if not repo.startswith(NAMESPACE + "/"):
            return None
        for id_, name in self.names().items():
            if not repo.startswith(f"{NAMESPACE}/{name}-"):
                continue
            for member in self._catalog.members(id_):
                if repo_id(name, member) == repo:
                    return member
        return None

    def open(self, member: Member) -> Volume:
        """The files of a member. Raises NotReady before the student is there, or SourceChanged."""
        family = self._catalog.family(member.family)
        student = self._catalog.student(family.student)
        pair = self._pair(student)
        members = self._catalog.members(family.id)
        repo = repo_id(self.names()[family.id], member)
        card = card_text(pair, family, student, members, member, repo)
        files = member_files(self._settings, pair, family, member, card=card)
        return Volume(family, member, repo, files, self._revision(member, pair, files))

    def _revision(self, member: Member, pair: Pair, files: Mapping[str, ByteFile]) -> str:
        """40 hex digits that stand for every byte of every file.

        The digest pins teacher and student; what is written here is hashed itself. The student's
        own record is in it because a student that was damaged is made again under its key.
        """
        total = hashlib.sha256(f"{FORMAT}\n{member.digest}\n".encode())
        for name, file in sorted(files.items()):
            total.update(f"{name} {file.size}\n".encode())
            if all(isinstance(piece, Literal) for piece in file.pieces):
                total.update(file.read())
        record = pair.student.checkpoint.json(RECORD)
        total.update(json.dumps(record, sort_keys=True).encode())
        return total.hexdigest()[:40]

    def forget(self, student: str) -> None:
        """Read a student's headers anew at the next request."""
        with self._lock:
            for key in [key for key in self._pairs if key[0] == student]:
                del self._pairs[key]

    def _pair(self, student: Student) -> Pair:
        key = (student.key, student.generation)
        with self._lock:
            found = self._pairs.get(key)
        if student.state is not StudentState.READY or found is None or not _fresh(found):
            found = open_pair(self._settings, student, verify=False)
            check_unchanged(self._catalog, student, found)
            with self._lock:
                while len(self._pairs) >= KEPT_PAIRS:
                    del self._pairs[next(iter(self._pairs))]
                self._pairs[key] = found
        return found


def _fresh(pair: Pair) -> bool:
    """Whether every file that the pair was read from is the same file still."""
    try:
        for side in (pair.teacher, pair.student):
            for source in files_of(side.checkpoint):
                os.close(source.open())
    except SourceChanged:
        return False
    return True


def _sizes(ladders: Sequence[Sequence[Member]]) -> str:
    names = sorted({(m.parameters, m.size) for ladder in ladders for m in ladder})
    return f"Sizes: {', '.join(name for _, name in names)}." if names else "There is no family yet."


def _no_size(size: str, ladders: Sequence[Sequence[Member]]) -> SizeNotFound:
    return SizeNotFound(f"There is no size {size!r}.", value=size, fix=_sizes(ladders))
