"""What the service has and has to do, for Prometheus: looked up when somebody asks.

However many families there are and however often it is asked, counting takes at most a twentieth
of one core: what was found is shown until that is so, and for 5 seconds at least.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from boomerang.catalog.catalog import Catalog
from boomerang.service.jobs import PLAY, QUEUES
from boomerang.service.watching import heartbeat
from boomerang.service.watching.collectors import by, gauge

log = logging.getLogger("boomerang.app")

LEAST_SECONDS = 5.0
SHARE = 20.0
"""How many times as long as it took to find, something is shown."""
UNACKNOWLEDGED = "unacked"
"""Celery's hash of the messages that workers have taken and not finished."""

T = TypeVar("T")


class Kept(Generic[T]):
    """What a question gave, for as long as it is not worth asking again."""

    def __init__(self, ask: Callable[[], T], least: float = LEAST_SECONDS) -> None:
        self._ask, self._least = ask, least
        self._lock, self._until = threading.Lock(), -1.0
        self._found: T | None = None

    def __call__(self) -> T:
        """Raises what asking raises."""
        with self._lock:
            began = time.monotonic()
            if self._found is None or began >= self._until:
                self._found = self._ask()
                now = time.monotonic()
                self._until = now + max(self._least, SHARE * (now - began))
            return self._found


class Things(Collector):
    """Catalog and queue, counted; what is away has no figures, and says that it is away."""

    def __init__(self, catalog: Catalog, redis_url: str) -> None:
        self._counts, self._jobs = Kept(catalog.counts), Kept(catalog.job_figures)
        self._parked = Kept(catalog.parked)
        self._queue = Kept(lambda: _queue(redis_url))

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked before somebody wants it."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every figure that there is."""
        for what, figures in (("catalog", self._of_catalog), ("queue", self._of_queue)):
            try:
                found = figures()
            except Exception as error:
                log.warning("no figures of the %s: %s", what, type(error).__name__)
                found = []
            yield gauge(f"boomerang_{what}_up", f"Whether the {what} answers.", bool(found))
            yield from found

    def _of_catalog(self) -> list[Metric]:
        counts, jobs = self._counts(), self._jobs()
        stages = GaugeMetricFamily("boomerang_jobs", "Jobs, by kind.", labels=["kind", "stage"])
        for stage, of in (("running", jobs.running), ("waiting", jobs.waiting)):
            for kind, many in sorted(of.items()):
                stages.add_metric([kind, stage], many)
        things = by("boomerang_things", "What the catalog holds.", "kind", counts.items())
        oldest = by(
            "boomerang_job_oldest_waiting_seconds", "How long the first that waits has waited.",
            "kind", jobs.oldest.items(),
        )  # fmt: skip
        failed = gauge("boomerang_jobs_failed", "Jobs that failed and stay so.", jobs.failed)
        parked = gauge("boomerang_jobs_parked", "Jobs given up as poison.", self._parked())
        return [things, stages, oldest, failed, parked]

    def _of_queue(self) -> list[Metric]:
        lengths, taken, heard = self._queue()
        return [
            by("boomerang_queue_messages", "Messages that no worker has taken.", "queue",
               lengths.items()),
            gauge("boomerang_queue_unacknowledged", "Messages that workers have taken.", taken),
            by("boomerang_workers", "Workers that listen to a queue.", "queue", heard.items()),
        ]  # fmt: skip


def _queue(redis_url: str) -> tuple[dict[str, int], int, dict[str, int]]:
    """How long the queues are, how many messages are worked on, and who listens to each."""
    queues = (*QUEUES, PLAY)
    with heartbeat.connect(redis_url, 1.0) as client:
        with client.pipeline(transaction=False) as all_at_once:
            for queue in queues:
                all_at_once.llen(queue)
            all_at_once.hlen(UNACKNOWLEDGED)
            *lengths, unfinished = all_at_once.execute()
        heard: Any = Counter(queue for one in heartbeat.present(client) for queue in one.queues)
    return dict(zip(queues, lengths, strict=True)), unfinished, {q: heard[q] for q in queues}
