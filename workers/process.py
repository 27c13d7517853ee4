"""A subprocess that reports one JSON object a line, watched by the worker that needs it."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from boomerang.service.child import command
from boomerang.threads import environment
from workers.holding import Holding

_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended: `reason` is None where it did what it was asked to do."""

    code: int
    done: bool
    reason: str | None


def run(
    arguments: Sequence[str],
    job: dict[str, Any],
    folder: Path,
    held: Holding,
    stop_seconds: float,
    on_event: Callable[[dict[str, Any]], None],
) -> Outcome:
    """Run a command with a job file as its last argument; hand every event to `on_event`.

    The command is asked to stop (SIGTERM) when the holding ends, and killed `stop_seconds` later.
    Its stderr goes to `folder/stderr.log`, whose last lines explain an unexplained death.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    temporary = path.with_suffix(f".{held.lease.fence}.tmp")
    temporary.write_text(json.dumps(job, indent=2))
    temporary.rename(path)
    log = folder / "stderr.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command(*arguments, str(path)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=environment(),
        )
        watcher = threading.Thread(target=_watch, args=(process, held, stop_seconds))
        watcher.start()
        try:
            last = _follow(process, on_event)
        except BaseException:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            process.wait()
            watcher.join()
    return _outcome(process.returncode, last, log)


def _follow(
    process: subprocess.Popen[bytes], on_event: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Hand out the events of a process until it ends; return its last word."""
    stdout: IO[bytes] | None = process.stdout
    last: dict[str, Any] = {}
    if stdout is None:
        return last
    with stdout:
        for line in stdout:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                if event["event"] in ("done", "error"):
                    last = event
                on_event(event)
    return last


def _watch(process: subprocess.Popen[bytes], held: Holding, stop_seconds: float) -> None:
    while process.poll() is None:
        if not held.ended.wait(0.2):
            continue
        _signal(process, signal.SIGTERM)
        try:
            process.wait(stop_seconds)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The whole session: a launcher such as torchrun has children of its own.
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _outcome(code: int, last: dict[str, Any], log: Path) -> Outcome:
    if code == 0 and last.get("event") == "done":
        return Outcome(code, True, None)
    if last.get("event") == "error":
        said = f"{last.get('detail', '')} {last.get('fix', '')}".strip()
        return Outcome(code, False, said or "it failed without saying why")
    if code == 0:
        return Outcome(code, False, "it ended without saying that it was done")
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if -code == signal.SIGKILL else ""
        return Outcome(code, False, f"its process was killed by {name}{hint}")
    tail = log.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
    # A launcher such as torchrun ends its report with a line of signs.
    words = [line.strip() for line in tail if any(letter.isalnum() for letter in line)]
    why = f": {words[-1]}" if words else ""
    return Outcome(code, False, f"its process ended with status {code}{why}")
