"""What a worker counts, for Prometheus: tasks, losses, what it trains.

https://prometheus.io/docs/practices/naming/. Labels take few values; those of a student that is
trained go once it is not.
"""

import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from boomerang import __version__
from boomerang.processes import tally
from boomerang.service.settings import Settings
from boomerang.service.watching.collectors import Machine
from workers.watching.devices import Devices

# A second series beside each counter, of which nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]
log = logging.getLogger("boomerang.workers")

SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 36000.0, 172800.0)
_MOST_OUTCOMES = 40
_COUNT = re.compile(r"^\d+ ")

REGISTRY = CollectorRegistry()
"""Of this worker's process."""
TASKS = Histogram(
    "boomerang_task_duration_seconds", "How long tasks took.", ["task", "outcome"],
    buckets=SECONDS, registry=REGISTRY,
)  # fmt: skip
RUNNING = Gauge(
    "boomerang_tasks_running", "Tasks that this worker does.", ["task"], registry=REGISTRY
)
_outcomes: set[str] = set()


def outcome_of(word: str) -> str:
    """The word in which a task ended, as a label, without how many; of too many words the later
    ones are `other`.
    """
    word = _COUNT.sub("", word)
    if word in _outcomes or len(_outcomes) < _MOST_OUTCOMES:
        _outcomes.add(word)
        return word
    return "other"


class Trainings(Collector):
    """What is trained now, as the trainer last said; each by the thread of its task."""

    _FIGURES: tuple[tuple[str, str, str], ...] = (
        ("step", "boomerang_training_step", "Step that the trainer is at."),
        ("steps", "boomerang_training_steps", "Steps of the whole run."),
        ("loss", "boomerang_training_loss", "Loss of the last steps."),
        ("tokens_per_s", "boomerang_training_tokens_per_second", "Tokens trained on a second."),
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[int, tuple[str, dict[str, float]]] = {}

    def told(self, student: str, values: Mapping[str, Any]) -> None:
        """A step of a student, as its trainer told it to this thread."""
        known = {n: v for n, *_ in self._FIGURES if isinstance(v := values.get(n), int | float)}
        with self._lock:
            self._told[threading.get_ident()] = student, known

    def over(self) -> None:
        """The task of this thread has ended."""
        with self._lock:
            self._told.pop(threading.get_ident(), None)

    def describe(self) -> Iterable[Metric]:
        """They are known when there are any."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The last step of each student that is trained."""
        with self._lock:
            now = list(self._told.values())
        for field, name, about in self._FIGURES:
            family = GaugeMetricFamily(name, about, labels=["student"])
            for student, values in now:
                if field in values:
                    family.add_metric([student], values[field])
            yield family


class Tallies(Collector):
    """What the process counted below (boomerang/processes/tally.py)."""

    _COUNTERS: tuple[tuple[tally.What, str, str, str], ...] = (
        ("leases_lost", "boomerang_leases_lost", "Leases that others took over.", "kind"),
        ("setbacks", "boomerang_setbacks", "Attempts that were in vain, by why.", "kind"),
        ("sent_again", "boomerang_jobs_sent_again", "Jobs that the reaper sent.", "job"),
        ("child_kills", "boomerang_child_kills", "Child processes that were killed.", "by"),
    )

    def describe(self) -> Iterable[Metric]:
        """They are known when there are any."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every counter, also those that nothing was counted by yet."""
        for what, name, about, label in self._COUNTERS:
            family = CounterMetricFamily(name, about, labels=[label])
            for kind, many in sorted(tally.counts(what).items()):
                family.add_metric([kind], many)
            yield family


TRAININGS = Trainings()
REGISTRY.register(TRAININGS)
REGISTRY.register(Tallies())


def show_figures(settings: Settings) -> None:
    """Answer GET /metrics where the settings name a port; a worker goes on without that."""
    if not settings.metrics_port:
        return
    for collector in (Machine(settings.home, __version__), Devices()):
        REGISTRY.register(collector)
    ProcessCollector(registry=REGISTRY)
    try:
        start_http_server(settings.metrics_port, settings.metrics_host, REGISTRY)
    except OSError as error:
        log.error("no figures at port %d: %s", settings.metrics_port, error.strerror)
