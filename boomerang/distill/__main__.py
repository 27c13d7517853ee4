"""The trainer as a process: `python -m boomerang.distill JOB.json`.

The same on many devices: `torchrun --nproc-per-node N -m boomerang.distill JOB.json`.

Events are JSON lines on stdout. Exit status 0 when the student is whole, 1 after an `error`
event, 143 when told to stop (with a checkpoint in the run folder).
"""

import sys
from contextlib import nullcontext

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from boomerang.distill.distillation import distil
from boomerang.distill.job import DistillJob
from boomerang.distill.learner import Learner
from boomerang.distill.memory.available import give_back_large_blocks
from boomerang.distill.parallel.launch import joined, leave, process_rank
from boomerang.errors import MAKE_ROOM, Interrupted, TrainingFailed, no_room
from boomerang.processes.logs import begin_child_logs
from boomerang.processes.reporting import Reporter, locked, run_job


def main(arguments: list[str], learners: type[Learner] = Learner) -> int:
    """Run one job with a kind of learner, and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    give_back_large_blocks()
    report = Reporter(speaks=process_rank() == 0)

    def work() -> None:
        job = DistillJob.load(arguments[0] if arguments else "")
        with (
            joined() as devices,
            devices.together(),
            # The first process holds the lock of the run folder for all.
            locked(job.run) if devices.first else nullcontext(),
        ):
            distil(job, report, devices, learners)

    return run_job(work, report, _failed, SafetensorError)


def _failed(error: Exception) -> TrainingFailed:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    memory = "out of memory" in said.lower() or isinstance(error, MemoryError)
    fix = "Lower micro_batch or sequence_length." if memory else "See the trainer's log."
    fix = MAKE_ROOM if no_room(error) else fix
    # What a device reports of itself (a link that broke, bad memory) says nothing of the job.
    device = isinstance(error, torch.AcceleratorError) and not memory
    kind = Interrupted if device or no_room(error) else TrainingFailed
    return kind(f"The trainer stopped: {said}.", value=type(error).__name__, fix=fix)


if __name__ == "__main__":
    begin_child_logs()
    leave(main(sys.argv[1:]))
