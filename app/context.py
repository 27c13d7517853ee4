"""What routes are given: the parts of a running front end, each made once.

Threads that answer go in two lanes: what this machine can answer, and what needs the Hub. A request
begins in the first, where no question to the Hub is allowed. Where it turns out to need one it is
begun again in the second, whose few threads are all that a Hub can hold, and in which it neither
pauses nor waits for long (boomerang/hub/hurry.py). Whoever finds that lane full waits without a
thread, and is then told when to ask again.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from app.feed import POLL_SECONDS, Feed
from app.serving.catalog_cache import CatalogCache
from app.serving.served import Served
from app.serving.volumes import Pairs, Volumes
from boomerang import __version__
from boomerang.catalog.catalog import Catalog
from boomerang.errors import HubBusy
from boomerang.hub.hurry import Hurry, NeedsHub, without_hub
from boomerang.service.jobs import Producer
from boomerang.service.playing.asking import Asker
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings
from boomerang.service.teachers import Teachers
from boomerang.service.watching.health import Health, checks_of


class EventWatch:
    """Waits for the newest event to be another."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._asking: asyncio.Task[int] | None = None

    async def after(self, event: int) -> int:
        """The id of the newest event, once it is not this one any more."""
        newest = event
        while newest == event:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            # Whoever leaves must not end it for the others.
            newest = await asyncio.shield(self._asking)
        return newest

    async def _ask(self) -> int:
        await asyncio.sleep(POLL_SECONDS)
        return await run_in_threadpool(self._catalog.last_event)


HUB_THREADS = 8
"""Threads that may be in the Hub's hands at a time; there are 40 in all."""
PATIENCE = 6
"""How often it may be silent for as long as it may, before a request has waited long enough."""

T = TypeVar("T")


class Lanes:
    """The threads of one front end. `seconds` is how long the Hub may be silent, or waited for."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lane, self._threads = CapacityLimiter(HUB_THREADS), CapacityLimiter(HUB_THREADS)
        self._hurry = Hurry(seconds)

    async def answered(self, work: Callable[[], T]) -> T:
        """What `work` gives, from a thread; it may be begun twice, so questions come before deeds.

        Raises what it raises, and HubBusy where the Hub does not answer in time.
        """
        try:
            return await run_in_threadpool(without_hub()(work))
        except NeedsHub:
            pass
        who = object()
        try:
            with fail_after(self._seconds):
                await self._lane.acquire_on_behalf_of(who)
        except TimeoutError as error:
            raise HubBusy(
                "Too many requests wait for the Hub.",
                fix="Ask again later.",
                retry_after=self._seconds,
            ) from error
        try:
            hurried = self._hurry.within(PATIENCE * self._seconds)(work)
            return await to_thread.run_sync(hurried, limiter=self._threads)
        finally:
            self._lane.release_on_behalf_of(who)


class Context:
    """The parts of a running front end. Raises BadRequest for settings that are not safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.redact = settings, Redactor(settings)
        self.catalog = Catalog(settings.database_url, migrate=settings.migrate)
        self.producer = Producer(settings.redis_url)
        settings.check(keys=bool(self.catalog.ring().keys))
        self.cache, self.watch = CatalogCache(self.catalog), EventWatch(self.catalog)
        self.pairs = Pairs(settings, self.catalog, self.producer)
        self.volumes = Volumes(settings, self.catalog, self.pairs)
        self.feed = Feed(self.catalog, self.redact)
        self.teachers = Teachers(settings)
        self.lanes = Lanes(settings.hub_seconds)
        self.playing = Asker(settings, self.producer)
        self.served = Served(self.catalog)
        self.health = Health(checks_of(settings, self.catalog, self.producer, __version__))

    async def stop(self) -> None:
        """Close what was opened."""
        await self.playing.close()
        await self.served.stop()
        self.producer.close()
        self.catalog.close()


# A coroutine, which costs no thread.
async def _context(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


ContextDep = Annotated[Context, Depends(_context)]
