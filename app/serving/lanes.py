"""Two lanes for the threads that answer: what this machine can answer, and what needs the Hub.

A request begins in the first, where no question to the Hub is allowed. Where it turns out to need
one it is begun again in the second, whose few threads are all that a Hub can hold, and in which it
neither pauses nor waits for long (boomerang/hub/hurry.py). Whoever finds that lane full waits
without a thread, and is then told when to ask again.
"""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from starlette.concurrency import run_in_threadpool

from boomerang.errors import HubBusy
from boomerang.hub.hurry import Hurry, NeedsHub, without_hub

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
            return await run_in_threadpool(_here, work)
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
            return await to_thread.run_sync(self._there, work, limiter=self._threads)
        finally:
            self._lane.release_on_behalf_of(who)

    def _there(self, work: Callable[[], T]) -> T:
        with self._hurry.within(PATIENCE * self._seconds):
            return work()


def _here(work: Callable[[], T]) -> T:
    with without_hub():
        return work()
