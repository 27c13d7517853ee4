"""What happens, read once for all who listen to everything, and no faster than anybody reads.

Ten pages that follow a distillation of fifty steps a second are not ten readers of the catalog: one
task asks it, and every stream is given the same lines. Steps come at most once a second, the newest
of each distillation; a change of state is never held up, nor left out.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import STEPS, Event

POLL_SECONDS = 0.3
STEP_SECONDS = 1.0
FORGOTTEN_SECONDS = 10.0
"""Where nobody listened for so long, what happened meanwhile is not read for those who come."""
KEPT = 1000
"""Events that a stream may be behind without asking the catalog itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it is sent: `data` is JSON."""

    id: int
    kind: str
    data: str


class Feed:
    """The events of everything, for any number of streams."""

    def __init__(self, catalog: Catalog, redact: Callable[[Any], Any]) -> None:
        self._catalog, self._redact = catalog, redact
        self._told: deque[Told] = deque()
        self._floor = self._at = -1
        self._stepped = self._asked = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def after(self, event: int) -> tuple[Told, ...]:
        """What came after an event, once there is something, oldest first."""
        while True:
            if 0 <= event < self._floor:
                if before := await self._read(event):
                    return before
                event = self._floor
            if found := tuple(told for told in self._told if told.id > event):
                return found
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            # Whoever leaves must not end it for the others.
            await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        idle, self._asked = time.monotonic() - self._asked, time.monotonic()
        if self._at < 0 or idle > FORGOTTEN_SECONDS:
            self._told.clear()
            self._floor = self._at = await run_in_threadpool(self._catalog.last_event)
            return
        await asyncio.sleep(POLL_SECONDS)
        if await run_in_threadpool(self._catalog.last_event) == self._at:
            return
        found = await self._read(self._at)
        if all(told.kind in STEPS for told in found):
            if time.monotonic() - self._stepped < STEP_SECONDS:
                return
            self._stepped = time.monotonic()
        for told in found:
            self._told.append(told)
            self._at = told.id
        while len(self._told) > KEPT:
            self._floor = self._told.popleft().id

    async def _read(self, event: int) -> tuple[Told, ...]:
        return await run_in_threadpool(self._lines, event)

    def _lines(self, event: int) -> tuple[Told, ...]:
        found = self._catalog.events_after(event, thin=True)
        return tuple(Told(one.id, one.kind, line_of(one, self._redact)) for one in found)


def line_of(event: Event, redact: Callable[[Any], Any]) -> str:
    """An event as JSON: its kind, when, of what, and what of it."""
    data = {"event": event.kind, "time": event.time, "family": event.family,
            "student": event.student, **event.payload}  # fmt: skip
    return json.dumps(redact(data))
