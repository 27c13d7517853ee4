"""Hashing files behind the requests that need it, and keying the families that waited for it.

A file is hashed by one worker at a time, whoever asked for it, and once; what is known is in the
catalog. So several families of one teacher share the work, and a job may be lost or arrive twice.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from boomerang.catalog.records.families import Created, Provisional
from boomerang.catalog.records.states import Keying, LostLease
from boomerang.checkpoint.folders import files_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import SourceChanged
from boomerang.service.intake.asked import KeptRequest
from boomerang.service.intake.pipeline import begin, take
from boomerang.service.intake.planned import Plan
from boomerang.service.jobs import KeyFamily
from boomerang.service.models import pairs
from boomerang.service.models.digests import take_hash
from workers.context import Context
from workers.leases import End, Holding, Over, holding
from workers.outages import patiently, said, setback

log = logging.getLogger("boomerang.workers")

ROUNDS = 5
"""How often files may change under the hashing before it is given up."""
SHARED = 16 << 20
"""Bytes from which on a file is worth a lease; smaller ones may be hashed twice."""
_TOLD_SECONDS = 1.0


def key(context: Context, family: str) -> str:
    """Hash what a provisional family is made of, and make the family; say what was done."""
    if context.stopping.is_set():
        return "stopping"
    catalog = context.catalog
    waited_for: list[FileSource] = []
    with holding(context, f"provisional:{family}", lambda: catalog.keying(family) is None) as held:
        if held is None:
            return "already running"
        waiting = catalog.keying(family)
        if waiting is None:
            return "not waiting"
        try:
            made = _Keying(context, held).work(waiting, waited_for)
        except LostLease:
            return "lost"
        except Over:
            if held.end is End.STOPPING:
                catalog.key_later(family, None, lease=held.lease, soon=True)
            return "ended"
        except Exception as error:
            return _failed(context, family, held, error)
    for created in made:
        begin(created, context.settings, catalog, context.producer)
    # Others may have left files to this worker; and whoever hashed ours may be done by now.
    hashing = [one.id for one in catalog.all_waiting() if one.state is Keying.HASHING]
    others = [one for one in hashing if one != family]
    if waited_for and not any(catalog.lease_holder(_subject(one)) for one in waited_for):
        others.append(family)
    for other in others:
        context.producer.send(KeyFamily(family=other))
    return "keyed" if made else "waiting"


def rehash(context: Context, student: str) -> str:
    """Hash the files behind a student's members again, where they were touched.

    One that was given is compared with its teacher, where nobody has.
    """
    found, settings = context.catalog.student(student), context.settings
    sides = (pairs.teacher_checkpoint(settings, found), pairs.student_checkpoint(settings, found))
    sources = [source for side in sides for source in files_of(side)]
    with holding(context, f"compare:{student}") as held:
        if held is None or _hash(context, sources, lambda got: None):
            return "already running"
        pairs.open_pair(settings, context.catalog, found, verify=False)
    return "hashed"


@dataclass
class _Keying:
    """One attempt to key one provisional family."""

    context: Context
    held: Holding
    done: int = 0
    total: int = 0
    told: float = 0.0
    family: str = ""
    reason: str | None = None

    def work(self, waiting: Provisional, behind: list[FileSource]) -> tuple[Created, ...]:
        """The families it became; none where others hash what is still lacking, put in `behind`.

        Raises Over, LostLease, and whatever is wrong with the request or its files.
        """
        catalog, self.family = self.context.catalog, waiting.id
        for _ in range(ROUNDS):
            now = catalog.keying(self.family)
            if now is None:
                raise Over
            plans = [self._taken(request) for request in now.asked]
            unhashed = list(dict.fromkeys(s for one in plans for s in one.unhashed))
            if not unhashed:
                planned = [plan.records for plan in plans]
                made = catalog.key_family(self.family, now.asked, planned, lease=self.held.lease)
                if made:
                    return made
                continue
            self.done, self.total = 0, sum(source.size for source in unhashed)
            if any(one.records.family.id != self.family for one in plans):
                self.reason = "its files are not what they were when it was asked for"
            self._say()
            try:
                behind[:] = _hash(self.context, unhashed, self._hashed)
            except SourceChanged as error:
                self.reason = f"{error.detail} It is hashed again."
                self._say()
                continue
            if behind:
                reason = "another worker hashes its files"
                catalog.key_later(self.family, reason, lease=self.held.lease, soon=False)
                return ()
        raise SourceChanged(
            f"The files of {waiting.name} changed {ROUNDS} times while they were hashed.",
            value=waiting.name,
            fix="Ask again when they are whole.",
        )

    def _taken(self, request: dict[str, object]) -> Plan:
        asked = KeptRequest.model_validate(request)
        return take(self.context.settings, self.context.catalog, asked, at_once=0, compare=True)

    def _hashed(self, got: int) -> None:
        self.held.check()
        self.done += got
        if time.monotonic() - self.told >= _TOLD_SECONDS:
            self._say()

    def _say(self) -> None:
        self.told = time.monotonic()
        self.context.catalog.set_hashed(
            self.family, self.done, self.total, self.reason, lease=self.held.lease
        )


def _hash(
    context: Context, sources: Iterable[FileSource], told: Callable[[int], object]
) -> list[FileSource]:
    """Hash files and remember it; return those that others hash just now.

    Raises SourceChanged, OSError, and what `told` raises, which is given the bytes of each chunk.
    """
    behind = []
    for source in sources:
        if source.size < SHARED:
            _take_hash(context, source, told)
            continue
        with holding(context, _subject(source)) as held:
            if held is None:
                behind.append(source)
            else:
                _take_hash(context, source, told)
    return behind


def _take_hash(context: Context, source: FileSource, told: Callable[[int], object]) -> None:
    if source in context.catalog.known_hashes([source]):
        told(source.size)
        return
    take_hash(context.catalog, source, told)


def _subject(source: FileSource) -> str:
    return f"file:{hashlib.sha256(str(source.path).encode()).hexdigest()[:40]}"


def _failed(context: Context, family: str, held: Holding, error: Exception) -> str:
    catalog, reason = context.catalog, said(error)
    try:
        kind = setback(error, f"family {family}")
        if kind is not None:
            log.warning("family %s: %s", family, reason)
            limits, told = context.settings.limits, {"kind": kind, "lease": held.lease}
            patiently(held)(catalog.key_again, family, reason, limits, **told)
            return "later"
        catalog.keying_failed(family, reason, lease=held.lease)
    except LostLease:
        return "lost"
    return "failed"
