"""Measuring as a process: `python -m boomerang.quality JOB.json`.

The job is to measure the members of a family, or, with a `rule`, which layers a student keeps.
Events are JSON lines on stdout. Exit status 0 when all is measured, 1 after an `error` event, 143
when told to stop.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from transformers.utils import logging

from boomerang.errors import MAKE_ROOM, Interrupted, TrainingFailed, no_room
from boomerang.processes.logs import begin_child_logs
from boomerang.processes.reporting import Reporter, run_job
from boomerang.quality.choosing.maps import MapJob, run_map
from boomerang.quality.measuring import MeasureJob, run


def main(arguments: list[str]) -> int:
    """Run one job and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report, path = Reporter(), arguments[0] if arguments else ""
    return run_job(lambda: _work(path)(report), report, _failed)


def _work(path: str) -> Callable[[Reporter], None]:
    """What a job file asks for. Raises BadRecipe where it is none."""
    try:
        asked = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        asked = {}
    if isinstance(asked, dict) and "rule" in asked:
        return partial(run_map, MapJob.load(path))
    return partial(run, MeasureJob.load(path))


def _failed(error: Exception) -> TrainingFailed:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    if no_room(error):
        return Interrupted(f"Measuring stopped: {said}.", fix=MAKE_ROOM)
    return TrainingFailed(f"Measuring stopped: {said}.", fix="See the log.")


if __name__ == "__main__":
    begin_child_logs()
    sys.exit(main(sys.argv[1:]))
