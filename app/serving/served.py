"""The bytes of models that keys were sent: counted as they go, written down every few seconds."""

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.allowances import DAY, QuotaSpent
from boomerang.catalog.records.states import CatalogChanged

log = logging.getLogger("boomerang.app")

WRITE_SECONDS = 5.0
"""How often what was sent is written down, by one transaction for all keys; so much of it is lost
with a front end that is killed."""


class Served:
    """Bytes by key. For the event loop of one front end."""

    def __init__(self, catalog: Catalog, seconds: float = WRITE_SECONDS) -> None:
        self._catalog, self._seconds = catalog, seconds
        self._new, self._writing = Counter[str](), Counter[str]()
        self._day, self._known = -1, dict[str, int]()
        self._writer: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    def add(self, key: str | None, count: int) -> None:
        """So many bytes were sent; those of nobody's key are not counted."""
        if key is None or not count:
            return
        self._new[key] += count
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_later())

    async def check(self, key: str | None, most: int) -> None:
        """Refuse a download of a key that had its bytes of today, if it has any number of them (0).

        Raises QuotaSpent.
        """
        if key is None or not most:
            return
        had = await self._today(key)
        if had >= most:
            raise QuotaSpent(
                f"This key may download {most} bytes a day (UTC), and had {had}.",
                value=most,
                fix="Ask again tomorrow, or have its quota raised (bytes_per_day).",
                retry_after=DAY - time.time() % DAY,
            )

    async def _today(self, key: str) -> int:
        day = int(time.time() // DAY)
        if day != self._day:
            self._day, self._known = day, {}
        if key not in self._known:
            used = await run_in_threadpool(self._catalog.used, key)
            self._known.setdefault(key, used.bytes)
        return self._known[key] + self._writing[key] + self._new[key]

    async def _write_later(self) -> None:
        while self._new and not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._seconds)
            await self._write()

    async def _write(self) -> None:
        self._writing, self._new = self._new, Counter()
        try:
            known = await run_in_threadpool(self._catalog.charge_bytes, dict(self._writing))
            # Other front ends count, too.
            self._known |= known
        except (SQLAlchemyError, CatalogChanged) as error:
            log.warning("bytes that were sent are written down later: %s", type(error).__name__)
            self._new += self._writing
        self._writing = Counter()

    async def stop(self) -> None:
        """Write down what is not yet."""
        self._over.set()
        if self._writer is not None:
            await self._writer
        if self._new:
            await self._write()
