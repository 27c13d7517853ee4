"""How a student is trained: the command line of the trainer, and what it says on the way."""

import logging
import math
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import Any

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.students import Student
from boomerang.retries import passes
from boomerang.service.settings import Settings
from workers.context import Context
from workers.leases import Holding
from workers.outages import patiently
from workers.training.batches import Batches, Series
from workers.watching.figures import TRAININGS

_TRAINER = ("-m", "boomerang.distill")
_COUNT = "import torch; print(torch.cuda.device_count())"


def trainer_command(settings: Settings) -> tuple[str, ...]:
    """What distils, without the job file that comes last."""
    if settings.trainer:
        return settings.trainer
    devices = settings.trainer_devices or visible_devices()
    if devices == 1:
        return (sys.executable, *_TRAINER)
    # A rendezvous of its own, so that two jobs on one machine do not meet.
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices))
    return (sys.executable, *torchrun, *_TRAINER)


@lru_cache(maxsize=1)
def visible_devices() -> int:
    """How many CUDA devices a process started here sees; 1 for a CPU alone."""
    # Asked in another process: this one keeps neither torch nor a device.
    asked = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True)
    return max(1, int(asked.stdout)) if asked.stdout.strip().isdigit() else 1


log = logging.getLogger("boomerang.workers")

_TELL_SECONDS = 0.9
"""Of how many seconds one step is told, at least; more on a long run."""
_once = threading.Lock()


def batches_of(catalog: Catalog) -> Batches:
    """What all the trainers of this process have their steps written by."""
    with _once:
        return _batches(catalog)


@lru_cache(maxsize=1)
def _batches(catalog: Catalog) -> Batches:
    return Batches(catalog, passes)


_LOGGED = frozenset({"start", "checkpoint", "memory", "estimate", "unsound", "done", "error"})
"""What the trainer says of itself that is worth a line of the worker's log, too."""


_SHOWN = ("step", "steps", "loss", "seconds")


class Progress:
    """Takes the trainer's events to the catalog.

    Steps are written with those of other trainers, the newest within a second, and thinned out for
    the event stream: one a second at first, fewer on a long run. They are left out while the
    catalog is away: what comes next says it all. Anything else waits, and comes after the steps
    before it.
    """

    def __init__(self, context: Context, student: Student, held: Holding) -> None:
        self._catalog, self._student, self._held = context.catalog, student, held
        self._started, self._last = time.monotonic(), -math.inf
        self._batches = batches_of(context.catalog)
        self._series = Series(student.key, held.lease)
        self.figures = ""
        """The memory that it needs and has, as it estimated them."""

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event. Raises LostLease, and what keeps it from being written."""
        kind, values = event["event"], {k: v for k, v in event.items() if k != "event"}
        key, lease, catalog = self._student.key, self._held.lease, self._catalog
        if kind in _LOGGED:
            shown = {name: values[name] for name in _SHOWN if name in values}
            log.info("%s of %s", kind, key, extra={"child": "trainer", "subject": key, **shown})
        if kind == "step":
            TRAININGS.told(key, values)
            tell = values.get("step") == values.get("steps") or self._due()
            self._batches.put(self._series, values, tell=tell)
            return
        self.settle()
        if kind == "start":
            patiently(self._held)(catalog.student_progress, key, values, lease=lease)
        elif kind == "checkpoint":
            patiently(self._held)(catalog.student_saved, key, values, lease=lease)
        elif kind == "memory":
            patiently(self._held)(catalog.student_narrow, key, values, lease=lease)
        elif kind in ("estimate", "unsound", "delta"):
            if kind == "estimate" and values.get("memory_bytes"):
                need, free = (values.get(n) or 0 for n in ("memory_bytes", "available_bytes"))
                self.figures = f", with {free / 2**30:.2f} GiB for about {need / 2**30:.2f}"
            patiently(self._held)(catalog.student_note, key, kind, values, lease=lease)

    def settle(self) -> None:
        """Have the last step written. Raises LostLease, and what was refused of it."""
        self._batches.flush(self._series)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < max(_TELL_SECONDS, (now - self._started) / 600):
            return False
        self._last = now
        return True
