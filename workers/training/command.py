"""The command line of the trainer: one process, or one for each device by torchrun."""

import subprocess
import sys
from functools import lru_cache

from boomerang.service.settings import Settings

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
