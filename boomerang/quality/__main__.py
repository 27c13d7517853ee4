"""Measuring as a process: `python -m boomerang.quality JOB.json`.

Events are JSON lines on stdout. Exit status 0 when every member is measured, 1 after an `error`
event, 143 when told to stop.
"""

import sys
from pathlib import Path

from transformers.utils import logging

from boomerang.errors import MAKE_ROOM, BoomerangError, Interrupted, TrainingFailed, no_room
from boomerang.processes.reporting import STOPPED, Reporter, Stopped
from boomerang.quality.job import MeasureJob
from boomerang.quality.measuring import run


def main(arguments: list[str]) -> int:
    """Run one job and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report = Reporter()
    with report.supervised():
        try:
            run(MeasureJob.load(Path(arguments[0] if arguments else "")), report)
        except Stopped:
            return STOPPED
        except BoomerangError as error:
            report.failed(error)
            return 1
        except (MemoryError, RuntimeError, OSError) as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            kind, fix = TrainingFailed, "See the log."
            if no_room(error):
                kind, fix = Interrupted, MAKE_ROOM
            report.failed(kind(f"Measuring stopped: {said}.", fix=fix))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
