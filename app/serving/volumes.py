"""Pairs and the volumes of their members that were asked for of late, opened and kept.

Headers are read once for each student; weights are only read while they are sent.
"""

import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from app.serving.catalog_cache import Snapshot
from app.serving.volume import Volume, volume_of
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, Member, Revision, repo_id
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.files import CARD
from boomerang.checkpoint.folders import files_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import SourceChanged
from boomerang.family.pair import Pair
from boomerang.service.jobs import Producer, Rehash
from boomerang.service.models.cards import card_text
from boomerang.service.models.digests import AT_ONCE, Unhashed
from boomerang.service.models.members import former_record, member_record
from boomerang.service.models.pairs import open_pair
from boomerang.service.settings import Settings

KEPT_PAIRS = 32
"""Of the largest models each has some 300 KB of headers."""

REHASH_SECONDS = 30.0
"""How long a job that hashes touched files again may take to be heard before it is sent anew."""

KEPT_VOLUMES = 64
"""A client asks for many ranges of one."""

_COMMIT = re.compile(r"[0-9a-f]{40}")

_Facts = tuple[Family, Student, tuple[Member, ...], Member, str]


class Pairs:
    """Opens teachers with their students. Safe to use from many threads."""

    def __init__(self, settings: Settings, catalog: Catalog, producer: Producer) -> None:
        self._settings, self._catalog, self._producer = settings, catalog, producer
        self._rehashing: dict[str, float] = {}
        self._kept: dict[tuple[str, int, str | None], tuple[Pair, tuple[FileSource, ...]]] = {}
        self._lock = Lock()

    def open(self, student: Student, at_once: int = AT_ONCE) -> Pair:
        """A student with its teacher, the same object as long as their files are the same.

        At most `at_once` bytes of them are read to tell that. Raises NotReady before the student is
        there, or while that is left to a worker, or SourceChanged.
        """
        key = (student.key, student.generation, student.hub_commit)
        with self._lock:
            found = self._kept.get(key)
        if student.state is StudentState.READY and found is not None and _fresh(found[1]):
            return found[0]
        try:
            pair = open_pair(self._settings, self._catalog, student,
                             verify=False, unchanged=True, at_once=at_once)  # fmt: skip
        except Unhashed:
            self._rehash(student.key)
            raise
        sources = tuple(
            s for side in (pair.teacher, pair.student) for s in files_of(side.checkpoint)
        )
        with self._lock:
            while len(self._kept) >= KEPT_PAIRS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (pair, sources)
        return pair

    def forget(self, student: str) -> None:
        """Read a student's headers anew at the next request."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == student]:
                del self._kept[key]

    def _rehash(self, student: str) -> None:
        """Have touched files hashed by a worker; whoever asks again meanwhile sends no more."""
        now = time.monotonic()
        with self._lock:
            if now - self._rehashing.get(student, -REHASH_SECONDS) < REHASH_SECONDS:
                return
            self._rehashing[student] = now
        self._producer.send(Rehash(key=student))


class Volumes:
    """Opens the files of members. Safe to use from many threads."""

    def __init__(self, settings: Settings, catalog: Catalog, pairs: Pairs) -> None:
        self._settings, self._catalog, self._pairs = settings, catalog, pairs
        self._present: dict[tuple[str, int], tuple[Pair, _Facts, Volume]] = {}
        self._past: dict[str, Volume] = {}
        self._lock = Lock()

    def open(self, snapshot: Snapshot, member: Member, at_once: int = AT_ONCE) -> Volume:
        """The files of a member. Raises as Pairs.open, which takes `at_once`."""
        return self._opened(snapshot, member, at_once)[1]

    def at(self, snapshot: Snapshot, member: Member, commit: str) -> Volume | None:
        """The files of a member at a commit: of now, or of before its card changed.

        A commit that somebody was told stands for the same bytes as long as its member exists;
        None where teacher or student are others now, so that nobody could write them.
        """
        pair, now = self._opened(snapshot, member)
        if commit == now.revision:
            return now
        if not _COMMIT.fullmatch(commit):
            return None
        with self._lock:
            past = self._past.pop(commit, None)
        past = past or self._written_again(pair, now, commit)
        if past is None:
            return None
        with self._lock:
            while len(self._past) >= KEPT_VOLUMES:
                del self._past[next(iter(self._past))]
            self._past[commit] = past
        return past if (past.repo_id, past.pinned) == (now.repo_id, now.pinned) else None

    def _opened(
        self, snapshot: Snapshot, member: Member, at_once: int = AT_ONCE
    ) -> tuple[Pair, Volume]:
        family = snapshot.family(member.family)
        student = snapshot.student(family.student)
        pair = self._pairs.open(student, at_once)
        repo = repo_id(snapshot.name(family.id), member)
        facts = (family, student, snapshot.members(family.id), member, repo)
        key = (family.id, member.k)
        with self._lock:
            kept = self._present.pop(key, None)
        # A volume is made of these facts and of nothing else: equal ones make it again as it is.
        current = kept is not None and kept[0] is pair and kept[1] == facts
        if kept and current:
            found = kept[2]
        else:
            card = card_text(pair, *facts)
            record = member_record(family, student, member)
            found = volume_of(self._settings, pair, family, member, repo, card, record)
        with self._lock:
            while len(self._present) >= KEPT_VOLUMES:
                del self._present[next(iter(self._present))]
            self._present[key] = (pair, facts, found)
        if not current:
            self._remember(found, member_record(family, student, member))
        return pair, found

    def _remember(self, volume: Volume, record: dict[str, Any]) -> None:
        """Keep what a commit stands for, whichever process is asked for it next."""
        card = volume.files[CARD].read().decode()
        told = Revision(commit=volume.revision, family=volume.family.id, repo=volume.repo_id,
                        card=card, facts=record)  # fmt: skip
        self._catalog.remember_revision(told)

    def _written_again(self, pair: Pair, now: Volume, commit: str) -> Volume | None:
        """The volume of a commit, where the models that it is made of are still these."""
        kept = self._catalog.revision(commit)
        if kept is None or (kept.family, kept.repo) != (now.family.id, now.repo_id):
            return None
        order, k, size = (kept.facts[name] for name in ("order", "k", "size"))
        family = replace(now.family, chosen=order)
        member = replace(now.member, k=k, size=size)
        record = kept.facts
        if "format" not in record:
            record = former_record(family, order, k, size)
        made = volume_of(self._settings, pair, family, member, kept.repo, kept.card, record)
        return made if made.revision == commit else None


def _fresh(sources: Sequence[FileSource]) -> bool:
    """Whether each of these files is the same file still."""
    try:
        for source in sources:
            os.close(source.open())
    except SourceChanged:
        return False
    return True
