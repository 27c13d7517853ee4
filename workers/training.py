"""How a student is trained: the command line of the trainer, and what it says on the way."""

import logging
import subprocess
import sys
import time
from functools import lru_cache
from typing import Any

from boomerang.catalog.records.students import Student
from boomerang.service.settings import Settings
from workers.context import Context
from workers.leases import Holding
from workers.outages import passes, patiently

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

_PROGRESS_SECONDS = 0.9
"""How long a step may go unwritten: a fast trainer does not make a transaction of each."""


class Progress:
    """Takes the trainer's events to the catalog.

    Progress is thinned out for the event stream: one a second at first, fewer on a long run. A step
    is left out while the catalog is away: what comes next says it all. Anything else waits.
    """

    def __init__(self, context: Context, student: Student, held: Holding) -> None:
        self._catalog, self._student, self._held = context.catalog, student, held
        self._started, self._last, self._written = time.monotonic(), 0.0, 0.0
        self.figures = ""
        """The memory that it needs and has, as it estimated them."""

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event. Raises LostLease, and what keeps it from being written."""
        kind, values = event["event"], {k: v for k, v in event.items() if k != "event"}
        key, lease, catalog = self._student.key, self._held.lease, self._catalog
        if kind == "start":
            self._written = time.monotonic()
            patiently(self._held)(catalog.student_progress, key, values, lease=lease)
        elif kind == "step":
            tell = values.get("step") == values.get("steps") or self._due()
            if not tell and time.monotonic() - self._written < _PROGRESS_SECONDS:
                return
            self._written = time.monotonic()
            try:
                catalog.student_progress(key, values, lease=lease, event=tell)
            except Exception as error:
                if not passes(error):
                    raise
                log.warning("progress of student %s was not written: %s", key, error)
        elif kind == "checkpoint":
            patiently(self._held)(catalog.student_saved, key, values, lease=lease)
        elif kind == "memory":
            patiently(self._held)(catalog.student_narrow, key, values, lease=lease)
        elif kind in ("estimate", "unsound", "delta"):
            if kind == "estimate" and values.get("memory_bytes"):
                need, free = (values.get(n) or 0 for n in ("memory_bytes", "available_bytes"))
                self.figures = f", with {free / 2**30:.2f} GiB for about {need / 2**30:.2f}"
            patiently(self._held)(catalog.student_note, key, kind, values, lease=lease)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._last < max(0.9, (now - self._started) / 600):
            return False
        self._last = now
        return True
