"""The volumes that were asked for of late: of members as they are now, and at earlier commits."""

import re
from dataclasses import replace
from threading import Lock

from app.serving.catalog_cache import CatalogCache
from app.serving.pairs import Pairs
from app.serving.volume import Volume, volume_of
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, Member, Revision, repo_id
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.files import CARD
from boomerang.family.pair import Pair
from boomerang.service.models.members import card_text
from boomerang.service.settings import Settings

KEPT = 64
"""A client asks for many ranges of one."""

_COMMIT = re.compile(r"[0-9a-f]{40}")

_Facts = tuple[Family, Student, tuple[Member, ...], Member, str]


class Volumes:
    """Opens the files of members. Safe to use from many threads."""

    def __init__(
        self, settings: Settings, catalog: Catalog, cache: CatalogCache, pairs: Pairs
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._cache = cache
        self._pairs = pairs
        self._present: dict[tuple[str, int], tuple[Pair, _Facts, Volume]] = {}
        self._past: dict[str, Volume] = {}
        self._lock = Lock()

    def open(self, member: Member) -> Volume:
        """The files of a member. Raises NotReady before the student is there, or SourceChanged."""
        snapshot = self._cache.now()
        family = snapshot.family(member.family)
        student = snapshot.student(family.student)
        pair = self._pairs.open(student)
        repo = repo_id(snapshot.names()[family.id], member)
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
            found = volume_of(self._settings, pair, family, member, repo, card)
        with self._lock:
            while len(self._present) >= KEPT:
                del self._present[next(iter(self._present))]
            self._present[key] = (pair, facts, found)
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
            while len(self._past) >= KEPT:
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
        pair = self._pairs.open(self._cache.now().student(family.student))
        made = volume_of(self._settings, pair, family, member, kept.repo, kept.card)
        return made if made.revision == commit else None
