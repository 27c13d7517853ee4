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

from boomerang.catalog.setbacks import Setback
from boomerang.processes.child import command
from boomerang.processes.threads import environment
from workers.leases.holding import Holding

_TAIL = 2000
_SAVING = {"estimate": "saving_seconds", "checkpoint": "seconds"}
"""The events that say how long a checkpoint takes, and where in them."""
_KILLS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a process ended: `reason` is None where it did what it was asked to do.

    `setback` says whether the same may succeed later: not where it refused what it was told.
    `starved` is whether it may have been killed for the memory that it took.
    """

    code: int
    done: bool
    reason: str | None
    setback: Setback | None = None
    starved: bool = False


def run(
    arguments: Sequence[str],
    job: dict[str, Any],
    folder: Path,
    held: Holding,
    stop_seconds: float,
    on_event: Callable[[dict[str, Any]], None],
) -> Outcome:
    """Run a command with a job file as its last argument; hand every event to `on_event`.

    The command is asked to stop (SIGTERM) when the holding ends or `on_event` raises, and killed
    `stop_seconds` later, or as much later as twice the time that a checkpoint takes it. Its
    stderr goes to `folder/stderr.log`, whose last lines explain an unexplained death.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    temporary = path.with_suffix(f".{held.lease.fence}.tmp")
    temporary.write_text(json.dumps(job, indent=2))
    temporary.rename(path)
    log, kills = folder / "stderr.log", kernel_kills()
    grace = _Grace(stop_seconds)
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command(*arguments, str(path)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            env=environment(),
        )
        watcher = threading.Thread(target=_watch, args=(process, held, grace))
        watcher.start()
        try:
            last = _follow(process, grace, on_event)
        except BaseException:
            _stop(process, grace)
            raise
        finally:
            process.wait()
            watcher.join()
    # Where the kernel does not say whom it killed, it may have been this one.
    starved = process.returncode == -signal.SIGKILL and (kills is None or kernel_kills() != kills)
    return _outcome(process.returncode, last, log, starved)


@dataclass(slots=True)
class _Grace:
    """Seconds that a process is given to stop: twice what writing a checkpoint takes, at least.

    How long that is, each checkpoint says, and the estimate before there is one.
    """

    seconds: float

    def learn(self, event: dict[str, Any]) -> None:
        took = event.get(_SAVING.get(str(event["event"]), ""))
        if isinstance(took, int | float):
            self.seconds = max(self.seconds, 2.0 * took)


def kernel_kills() -> int | None:
    """How many processes the kernel has killed for memory here; None where it does not say."""
    for file in _KILLS:
        try:
            words = file.read_text().split()
            return int(words[words.index("oom_kill") + 1])
        except (OSError, ValueError):
            continue
    return None


def _follow(
    process: subprocess.Popen[bytes], grace: _Grace, on_event: Callable[[dict[str, Any]], None]
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
                grace.learn(event)
                on_event(event)
    return last


def _watch(process: subprocess.Popen[bytes], held: Holding, grace: _Grace) -> None:
    while process.poll() is None:
        if held.ended.wait(0.2):
            _stop(process, grace)


def _stop(process: subprocess.Popen[bytes], grace: _Grace) -> None:
    _signal(process, signal.SIGTERM)
    try:
        process.wait(grace.seconds)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The whole session: a launcher such as torchrun has children of its own.
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _outcome(code: int, last: dict[str, Any], log: Path, starved: bool) -> Outcome:
    if code == 0 and last.get("event") == "done":
        return Outcome(code, True, None)
    if last.get("event") == "error":
        said = f"{last.get('detail', '')} {last.get('fix', '')}".strip()
        setback = Setback.OUTSIDE if last.get("transient") else None
        return Outcome(code, False, said or "it failed without saying why", setback)
    if code == 0:
        return Outcome(code, False, "it ended without saying that it was done", Setback.DIED)
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if starved else ""
        reason = f"its process was killed by {name}{hint}"
        return Outcome(code, False, reason, Setback.DIED, starved)
    tail = log.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
    # A launcher such as torchrun ends its report with a line of signs.
    words = [line.strip() for line in tail if any(letter.isalnum() for letter in line)]
    why = f": {words[-1]}" if words else ""
    return Outcome(code, False, f"its process ended with status {code}{why}", Setback.DIED)
