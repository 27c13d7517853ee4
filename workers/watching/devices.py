"""The GPUs of a worker's machine, as NVIDIA's own library sees them; none where there is none.

https://docs.nvidia.com/deploy/nvml-api/. All that this process may see are shown, also those that
CUDA_VISIBLE_DEVICES hides from the trainer.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger("boomerang.workers")

_MILLI = 1e-3
_FIGURES: tuple[tuple[str, str, Callable[[Any, Any], float]], ...] = (
    ("boomerang_gpu_utilization_ratio", "Share of the last moments in which it computed.",
     lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100),
    ("boomerang_gpu_memory_used_bytes", "Memory that is taken.",
     lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used),
    ("boomerang_gpu_memory_size_bytes", "Memory that it has.",
     lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total),
    ("boomerang_gpu_temperature_celsius", "How warm it is.",
     lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU)),
    ("boomerang_gpu_power_watts", "What it draws.",
     lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) * _MILLI),
)  # fmt: skip


class Devices(Collector):
    """Every GPU by its number; what one of them does not tell is left out."""

    def __init__(self, nvml: Any = None) -> None:
        """`nvml` is the library, found by itself where none is given."""
        self._nvml, self._gpus = nvml, list[Any]()
        try:
            if nvml is None:
                import pynvml  # noqa: PLC0415 - only a worker that shows figures wants it

                self._nvml = pynvml
            self._nvml.nvmlInit()
            many = self._nvml.nvmlDeviceGetCount()
            self._gpus = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(many)]
        except Exception as error:
            log.debug("no GPU is seen: %s", error)

    def describe(self) -> Iterable[Metric]:
        """They are known when there are any."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What each of them tells now."""
        for name, about, ask in _FIGURES:
            family = GaugeMetricFamily(name, about, labels=["gpu"])
            for number, gpu in enumerate(self._gpus):
                try:
                    family.add_metric([str(number)], ask(self._nvml, gpu))
                except Exception as error:
                    # Some tell no power, and those of a virtual machine little at all.
                    log.debug("GPU %d does not tell %s: %s", number, name, error)
            if family.samples:
                yield family
