"""The pairs whose members are served: headers are read once for each student, and kept.

Weights are only read while they are sent.
"""

import os
import time
from collections.abc import Sequence
from threading import Lock

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.content import files_of
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import SourceChanged
from boomerang.family.pair import Pair
from boomerang.service.jobs import Producer, Rehash
from boomerang.service.models.digests import AT_ONCE, Unhashed
from boomerang.service.models.pairs import open_pair
from boomerang.service.settings import Settings

KEPT = 32
"""Of the largest models each has some 300 KB of headers."""

REHASH_SECONDS = 30.0
"""How long a job that hashes touched files again may take to be heard before it is sent anew."""


class Pairs:
    """Opens teachers with their students. Safe to use from many threads."""

    def __init__(self, settings: Settings, catalog: Catalog, producer: Producer) -> None:
        self._settings = settings
        self._catalog = catalog
        self._producer = producer
        self._rehashing: dict[str, float] = {}
        self._kept: dict[tuple[str, int], tuple[Pair, tuple[FileSource, ...]]] = {}
        self._lock = Lock()

    def open(self, student: Student) -> Pair:
        """A student with its teacher, the same object as long as their files are the same.

        Raises NotReady before the student is there, or SourceChanged.
        """
        key = (student.key, student.generation)
        with self._lock:
            found = self._kept.get(key)
        if student.state is StudentState.READY and found is not None and _fresh(found[1]):
            return found[0]
        try:
            pair = open_pair(
                self._settings,
                self._catalog,
                student,
                verify=False,
                unchanged=True,
                at_once=AT_ONCE,
            )
        except Unhashed:
            self._rehash(student.key)
            raise
        sources = tuple(
            s for side in (pair.teacher, pair.student) for s in files_of(side.checkpoint)
        )
        with self._lock:
            while len(self._kept) >= KEPT:
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


def _fresh(sources: Sequence[FileSource]) -> bool:
    """Whether each of these files is the same file still."""
    try:
        for source in sources:
            os.close(source.open())
    except SourceChanged:
        return False
    return True
