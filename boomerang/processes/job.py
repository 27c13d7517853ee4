"""A module of ours run on a job file: a process that reports one JSON object a line."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from boomerang.errors import BoomerangError, TrainingFailed
from boomerang.processes.threads import environment

Told = Callable[[dict[str, Any]], object]
"""Called with every event, as the process reports it."""


class JobFailed(BoomerangError):
    """The trainer or the measurer stopped with an error of its own."""

    slug, title = "job-failed", "The process failed"


def events(module: str, job: Mapping[str, Any], run: Path) -> Iterator[dict[str, Any]]:
    """Run a module on a job file and yield its events; the process is stopped with this one.

    Raises JobFailed with what the process said went wrong, TrainingFailed where it said nothing.
    """
    path, log = run / "job.json", run / "process.log"
    path.write_text(json.dumps(job), "utf-8")
    with _started([sys.executable, "-m", module, str(path)], log) as process:
        for line in process.stdout or ():
            event = _parse(line)
            if event is None:
                continue
            if event["event"] == "error":
                fix = str(event.get("fix") or "")
                raise JobFailed(str(event["detail"]), value=event.get("value"), fix=fix)
            yield event
        if process.wait() != 0:
            raise TrainingFailed(
                f"The process ended with status {process.returncode}: {_last_line(log)}",
                value=process.returncode,
                fix="Run the same command again to go on from its last checkpoint.",
            )


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    # In a session of its own: ^C reaches this process alone, which then tells it to stop.
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            env=environment(),
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing."
