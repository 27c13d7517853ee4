"""Figures that are looked up when somebody asks for them, for front ends and workers alike.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#collectors
"""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from boomerang.catalog.migrations.schema import HEAD


class Machine(Collector):
    """What this process is, and how much room its home has."""

    def __init__(self, home: Path, version: str) -> None:
        self._home, self._version = home, version

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked before somebody wants it."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The version, and the disk of the home where there is one."""
        about = {"version": self._version, "schema": HEAD}
        yield InfoMetricFamily("boomerang_build", "The program that runs.", value=about)
        try:
            disk = shutil.disk_usage(self._home)
        except OSError:
            return
        yield gauge("boomerang_disk_free_bytes", "Room that the disk of the home has.", disk.free)
        yield gauge("boomerang_disk_size_bytes", "Size of the disk of the home.", disk.total)


def gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    """One figure without labels."""
    return GaugeMetricFamily(name, about, value=value)


def by(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    """Figures by one label."""
    family = GaugeMetricFamily(name, about, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family
