"""How far the trainers of this process are: collected, and written in one transaction a while.

A worker may have many trainers, each of which may take many steps a second. What they say is taken
without waiting for the database; a thread writes the newest of each.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Lease
from boomerang.catalog.students.progress import Steps

log = logging.getLogger("boomerang.workers")

SECONDS = 0.9
"""How long a step may go unwritten."""
_IDLE_SECONDS = 60.0
"""How long the thread waits for steps before it ends; the next step begins another."""


@dataclass(eq=False)
class Series:
    """The steps of one distillation under one lease; `refused` is why no more are taken."""

    key: str
    lease: Lease
    latest: Mapping[str, Any] | None = None
    told: list[Mapping[str, Any]] = field(default_factory=list)
    refused: Exception | None = None


class Batches:
    """What is to be written of many distillations. Safe to use from many threads.

    `passes` says of an error whether it is of a database that is away: then steps are left out, as
    what comes next says it all.
    """

    def __init__(self, catalog: Catalog, passes: Callable[[BaseException], bool]) -> None:
        self._catalog, self._passes = catalog, passes
        self._taking, self._writing = threading.Lock(), threading.Lock()
        self._some = threading.Event()
        self._waiting: dict[int, Series] = {}
        self._thread: threading.Thread | None = None

    def put(self, series: Series, values: Mapping[str, Any], *, tell: bool) -> None:
        """Take a step, to be written within SECONDS; `tell` also tells the event stream of it.

        Raises LostLease, NotFound or what else was refused of an earlier step of the series.
        """
        if series.refused is not None:
            raise series.refused
        with self._taking:
            series.latest = values
            if tell:
                series.told.append(values)
            self._waiting[id(series)] = series
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="progress", daemon=True)
                self._thread.start()
            self._some.set()

    def flush(self, series: Series) -> None:
        """Have what was taken written before this returns, so that what is told next comes after.

        Raises as `put`.
        """
        with self._writing:
            if series.latest is not None:
                self._write_now()
        if series.refused is not None:
            raise series.refused

    def _write(self) -> None:
        while True:
            if not self._some.wait(_IDLE_SECONDS):
                with self._taking:
                    if not self._waiting:
                        self._thread = None
                        return
            began = time.monotonic()
            with self._writing:
                self._write_now()
            time.sleep(max(0.0, SECONDS - (time.monotonic() - began)))

    def _write_now(self) -> None:
        with self._taking:
            self._some.clear()
            series, self._waiting = tuple(self._waiting.values()), {}
            steps = [Steps(one.key, one.latest or {}, tuple(one.told), one.lease) for one in series]
            for one in series:
                one.latest, one.told = None, []
        if steps:
            self._commit(dict(zip(series, steps, strict=True)))

    def _commit(self, batch: Mapping[Series, Steps]) -> None:
        try:
            refused = self._catalog.progress(tuple(batch.values()))
        except Exception as error:
            if self._passes(error):
                log.warning("progress of %d students was not written: %s", len(batch), error)
            elif len(batch) == 1:
                next(iter(batch)).refused = error
            else:
                # One says what no database takes; the others are not kept back by that.
                for one, steps in batch.items():
                    self._commit({one: steps})
            return
        for one, why in zip(batch, refused, strict=True):
            one.refused = why
