"""Tells all who listen here that there are newer events, with one question to the catalog."""

import asyncio

from starlette.concurrency import run_in_threadpool

from boomerang.catalog.catalog import Catalog

POLL_SECONDS = 0.3


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
