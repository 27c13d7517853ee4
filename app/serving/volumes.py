"""Members as files: from a size or a repository's name to byte ranges, without building anything.

Headers are read once for each student and kept; weights are only read while they are sent.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

from app.serving.known import Known
from boomerang.assembly.bytefile import ByteFile, Literal
from boomerang.assembly.tarball import tar
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.names import NAMESPACE, repo_id
from boomerang.catalog.parts.revisions import Revision
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.members import Member
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.content import files_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import (
    BadBudget,
    BudgetOutOfRange,
    FamilyNotFound,
    FileNotInModel,
    NotReady,
    SizeNotFound,
    SourceChanged,
)
from boomerang.family.budget import Budget
from boomerang.family.pair import RECORD, Pair
from boomerang.service.messages import Rehash
from boomerang.service.models.cards import card_text
from boomerang.service.models.digests import AT_ONCE, Unhashed
from boomerang.service.models.members import member_files
from boomerang.service.models.pairs import open_pair
from boomerang.service.models.unchanged import check_unchanged
from boomerang.service.producer import Producer
from boomerang.service.settings import Settings

FORMAT = "2"
"""Changed whenever the same member would be written as other bytes."""

CARD = "README.md"
KEPT_PAIRS = 32
KEPT_VOLUMES = 64
"""Of the largest models each has some 300 KB of headers; a client asks for many ranges of one."""

REHASH_SECONDS = 30.0
"""How long a job that hashes touched files again may take to be heard before it is sent anew."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SIZE = re.compile(r"[0-9A-Za-z.:\-]{1,40}")


@dataclass(frozen=True)
class Volume:
    """A member with its files. `revision` names them all: a card that changes is a new one.

    `pinned` stands for teacher, student and composition: what every byte but the card comes from.
    """

    family: Family
    member: Member
    repo_id: str
    files: dict[str, ByteFile]
    revision: str
    pinned: str

    @cached_property
    def tar(self) -> ByteFile:
        """The whole model as one file."""
        return tar(self.files, self.repo_id.rsplit("/", 1)[-1])

    @cached_property
    def _etags(self) -> dict[str, str]:
        return {}

    def etag(self, name: str) -> str:
        """A strong validator of one file of it (the empty name: the tar).

        It stays what it is when only another file changes: whoever has the weights keeps them.
        """
        if name not in self._etags:
            self._etags[name] = self._etag(name)
        return self._etags[name]

    def _etag(self, name: str) -> str:
        total = hashlib.sha256(f"{self.pinned if name else self.revision}/{name}".encode())
        if name:
            total.update(f" {self.files[name].size}\n".encode())
            for piece in self.files[name].pieces:
                total.update(piece.data if isinstance(piece, Literal) else b"")
        return total.hexdigest()[:40]

    def file(self, name: str) -> ByteFile:
        """One file. Raises FileNotInModel."""
        if name not in self.files:
            raise FileNotInModel(
                f"{self.repo_id} has no file {name!r}.",
                value=name,
                fix=f"It has {', '.join(sorted(self.files))}.",
            )
        return self.files[name]


_Facts = tuple[Family, Student, tuple[Member, ...], Member, str]


class Volumes:
    """Finds members and opens their files. Safe to use from many threads."""

    def __init__(self, settings: Settings, catalog: Catalog, producer: Producer) -> None:
        self._settings = settings
        self._catalog = catalog
        self._producer = producer
        self._rehashing: dict[str, float] = {}
        self._known = Known(catalog, -1)
        self._pairs: dict[tuple[str, int], tuple[Pair, tuple[FileSource, ...]]] = {}
        self._volumes: dict[tuple[str, int], tuple[Pair, _Facts, Volume]] = {}
        self._past: dict[str, Volume] = {}
        self._lock = Lock()

    def known(self) -> Known:
        """What the catalog holds now."""
        self._known = known = self._known.now()
        return known

    def names(self) -> dict[str, str]:
        """What each family is called, by id."""
        return self.known().names()

    def find(self, size: str, family: str | None) -> tuple[Member, ...]:
        """The members that a size means: by exact name, else the largest within it as a budget.

        With no family given there may be several. Raises FamilyNotFound, SizeNotFound,
        BudgetOutOfRange.
        """
        known = self.known()
        every = known.ladders().values() if family is None else (self.ladder(family),)
        ladders = list(every)
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

    def ladder(self, family: str) -> tuple[Member, ...]:
        """The members of a family, also by an id that it has had.

        Raises FamilyNotFound, NotReady where its files are still being hashed.
        """
        known = self.known()
        try:
            return known.members(known.named(family))
        except FamilyNotFound:
            if self._catalog.waiting(family) is None:
                raise
            raise NotReady(
                f"The files of family {family} are being hashed.",
                value=family,
                fix="Wait for it: GET /families/{id}/events tells how far it is.",
            ) from None

    def by_repo(self, repo: str) -> Member | None:
        """The member that is served under a repository's name, if there is one."""
        if not repo.startswith(NAMESPACE + "/"):
            return None
        known = self.known()
        for id_, name in known.names().items():
            if not repo.startswith(f"{NAMESPACE}/{name}-"):
                continue
            for member in known.members(id_):
                if repo_id(name, member) == repo:
                    return member
        return None

    def open(self, member: Member) -> Volume:
        """The files of a member. Raises NotReady before the student is there, or SourceChanged."""
        known = self.known()
        family = known.family(member.family)
        student = known.student(family.student)
        pair = self._pair(student)
        repo = repo_id(known.names()[family.id], member)
        facts = (family, student, known.members(family.id), member, repo)
        key = (family.id, member.k)
        with self._lock:
            kept = self._volumes.pop(key, None)
        # A volume is made of these facts and of nothing else: equal ones make it again as it is.
        current = kept is not None and kept[0] is pair and kept[1] == facts
        found = kept[2] if kept and current else self._make(pair, *facts)
        with self._lock:
            while len(self._volumes) >= KEPT_VOLUMES:
                del self._volumes[next(iter(self._volumes))]
            self._volumes[key] = (pair, facts, found)
        if not current:
            self._remember(found)
        return found

    def at(self, member: Member, commit: str) -> Volume | None:
        """The files of a member at a commit: of now, or of before its card changed.

        A commit that somebody was told stands for the same bytes as long as its member exists;
        None where teacher or student are others now, so that nobody could write them.
        """
        now = self.open(member)
        if commit == now.revision:
            return now
        if not _COMMIT.fullmatch(commit):
            return None
        with self._lock:
            past = self._past.pop(commit, None)
        past = past or self._written_again(now, commit)
        if past is None:
            return None
        with self._lock:
            while len(self._past) >= KEPT_VOLUMES:
                del self._past[next(iter(self._past))]
            self._past[commit] = past
        return past if (past.repo_id, past.pinned) == (now.repo_id, now.pinned) else None

    def _remember(self, volume: Volume) -> None:
        """Keep what a commit stands for, whichever process is asked for it next."""
        member = volume.member
        facts = {"order": volume.family.chosen, "k": member.k, "size": member.size}
        card = volume.files[CARD].read().decode()
        self._catalog.remember_revision(
            Revision(
                commit=volume.revision,
                family=volume.family.id,
                repo=volume.repo_id,
                card=card,
                facts=facts,
            )
        )

    def _written_again(self, now: Volume, commit: str) -> Volume | None:
        """The volume of a commit, where the models that it is made of are still these."""
        kept = self._catalog.revision(commit)
        if kept is None or (kept.family, kept.repo) != (now.family.id, now.repo_id):
            return None
        facts = kept.facts
        family = replace(now.family, chosen=facts["order"])
        member = replace(now.member, k=facts["k"], size=facts["size"])
        pair = self._pair(self.known().student(family.student))
        made = self._written(pair, family, member, kept.repo, kept.card)
        return made if made.revision == commit else None

    def _make(
        self,
        pair: Pair,
        family: Family,
        student: Student,
        members: tuple[Member, ...],
        member: Member,
        repo: str,
    ) -> Volume:
        card = card_text(pair, family, student, members, member, repo)
        return self._written(pair, family, member, repo, card)

    def _written(self, pair: Pair, family: Family, member: Member, repo: str, card: str) -> Volume:
        files = member_files(self._settings, pair, family, member, card=card)
        record = json.dumps(pair.student.checkpoint.json(RECORD), sort_keys=True)
        pinned = hashlib.sha256(f"{FORMAT}\n{member.digest}\n{record}".encode()).hexdigest()
        return Volume(family, member, repo, files, self._revision(pinned, files), pinned)

    def _revision(self, pinned: str, files: Mapping[str, ByteFile]) -> str:
        """40 hex digits that stand for every byte of every file.

        The digest pins teacher and student; what is written here is hashed itself. The student's
        own record is in it because a student that was damaged is made again under its key.
        """
        total = hashlib.sha256(f"{pinned}\n".encode())
        for name, file in sorted(files.items()):
            total.update(f"{name} {file.size}\n".encode())
            if all(isinstance(piece, Literal) for piece in file.pieces):
                total.update(file.read())
        return total.hexdigest()[:40]

    def forget(self, student: str) -> None:
        """Read a student's headers anew at the next request."""
        with self._lock:
            for key in [key for key in self._pairs if key[0] == student]:
                del self._pairs[key]

    def _rehash(self, student: str) -> None:
        """Have touched files hashed by a worker; whoever asks again meanwhile sends no more."""
        now = time.monotonic()
        with self._lock:
            if now - self._rehashing.get(student, -REHASH_SECONDS) < REHASH_SECONDS:
                return
            self._rehashing[student] = now
        self._producer.send(Rehash(key=student))

    def _pair(self, student: Student) -> Pair:
        key = (student.key, student.generation)
        with self._lock:
            found = self._pairs.get(key)
        if student.state is StudentState.READY and found is not None and _fresh(found[1]):
            return found[0]
        try:
            pair = open_pair(self._settings, self._catalog, student, verify=False, at_once=AT_ONCE)
            check_unchanged(self._catalog, student, pair, AT_ONCE)
        except Unhashed:
            self._rehash(student.key)
            raise
        sources = tuple(
            s for side in (pair.teacher, pair.student) for s in files_of(side.checkpoint)
        )
        with self._lock:
            while len(self._pairs) >= KEPT_PAIRS:
                del self._pairs[next(iter(self._pairs))]
            self._pairs[key] = (pair, sources)
        return pair


def _fresh(sources: Sequence[FileSource]) -> bool:
    """Whether each of these files is the same file still."""
    try:
        for source in sources:
            os.close(source.open())
    except SourceChanged:
        return False
    return True


def _sizes(ladders: Sequence[Sequence[Member]]) -> str:
    names = sorted({(m.parameters, m.size) for ladder in ladders for m in ladder})
    return f"Sizes: {', '.join(name for _, name in names)}." if names else "There is no family yet."


def _no_size(size: str, ladders: Sequence[Sequence[Member]]) -> SizeNotFound:
    return SizeNotFound(f"There is no size {size!r}.", value=size, fix=_sizes(ladders))
