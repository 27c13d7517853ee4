"""A child that is given a job file and tells in JSON lines how far it is: run, stopped, ended.

`Reporter` is its side of that.
"""

import json
import math
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from boomerang.errors import BoomerangError, TrainingFailed
from boomerang.processes import tally, trace
from boomerang.processes.child import send, start
from boomerang.processes.reporting import event_of

SPINS = "1000"
"""Turns of waiting before a thread sleeps.

On two cores, one of them busy with something else, eight small steps took 16 s with it and more
than 120 s with OpenMP's own; where nobody else wanted them both were alike.
"""


def environment() -> dict[str, str]:
    """The environment for such a process: this one's, whom it works for, and what it does not say
    about waiting.

    OpenMP's threads otherwise spin until the last of them is done, which can take ever so long
    where other programs want the processor too.
    """
    said = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    told = {**os.environ, **trace.told()}
    return told if said else {**told, "GOMP_SPINCOUNT": SPINS}


_TAIL = 2000
_SAVING = {"estimate": "saving_seconds", "checkpoint": "seconds"}
"""The events that say how long a checkpoint takes, and where in them."""
_KILLS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))

Told = Callable[[dict[str, Any]], object]
"""Called with every event, as the child reports it."""


class JobFailed(BoomerangError):
    """The child stopped with an error of its own."""

    slug, title = "job-failed", "The process failed"


class Ending(StrEnum):
    """How a child ended: `away` is something outside of it that may be back."""

    DONE = "done"
    REFUSED = "refused"
    AWAY = "away"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a child ended, and why where it did not do what it was asked to do.

    `error` is the event in which it said so itself; `starved` is whether it may have been killed
    for the memory that it took.
    """

    ending: Ending
    code: int = 0
    reason: str | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    starved: bool = False

    @property
    def done(self) -> bool:
        """Whether it did what it was asked to do."""
        return self.ending is Ending.DONE


def run(
    arguments: Sequence[str],
    job: Mapping[str, Any],
    folder: Path,
    told: Told,
    ended: threading.Event | None = None,
    stop_seconds: float = math.inf,
) -> Outcome:
    """Run a command with a job file as its last argument; hand every event to `told`.

    The command is asked to stop (SIGTERM) when `ended` is set or `told` raises, and killed
    `stop_seconds` later, or as much later as twice the time that a checkpoint takes it. Its
    stderr goes to `folder/stderr.log`, whose last lines explain an unexplained death.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    temporary = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
    temporary.write_text(json.dumps(job, indent=2))
    temporary.rename(path)
    log, kills = folder / "stderr.log", kernel_kills()
    with log.open("wb") as errors:
        process = start(
            [*arguments, str(path)],
            output=subprocess.PIPE,
            errors=errors,
            environment=environment(),
        )
    child = _Running(process, stop_seconds)
    watcher = threading.Thread(target=child.watch, args=(ended or threading.Event(),))
    watcher.start()
    try:
        last = child.follow(told)
    except BaseException:
        child.stop()
        raise
    finally:
        process.wait()
        watcher.join()
    # Where the kernel does not say whom it killed, it may have been this one.
    if process.returncode == -signal.SIGKILL and not child.killed:
        tally.add("child_kills", "others")
    starved = process.returncode == -signal.SIGKILL and (kills is None or kernel_kills() != kills)
    return outcome_of(process.returncode, last, log, starved)


@dataclass(slots=True)
class _Running:
    """A child that is under way; `grace` are the seconds that it is given to stop.

    At least twice what writing a checkpoint takes: how long that is, each checkpoint says, and the
    estimate before there is one.
    """

    process: subprocess.Popen[bytes]
    grace: float
    killed: bool = False

    def follow(self, told: Told) -> dict[str, Any]:
        """Hand out the events until it ends; return its last word."""
        last: dict[str, Any] = {}
        if self.process.stdout is None:
            return last
        with self.process.stdout as lines:
            for line in lines:
                event = event_of(line)
                if event is None:
                    continue
                if event["event"] in ("done", "error"):
                    last = event
                took = event.get(_SAVING.get(str(event["event"]), ""))
                if isinstance(took, int | float):
                    self.grace = max(self.grace, 2.0 * took)
                told(event)
        return last

    def watch(self, ended: threading.Event) -> None:
        """Stop it once it is to end."""
        while self.process.poll() is None:
            if ended.wait(0.2):
                self.stop()

    def stop(self) -> None:
        """Ask it to stop, and kill it where it takes too long."""
        send(self.process, signal.SIGTERM)
        try:
            self.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            self.killed = True
            tally.add("child_kills", "worker")
            send(self.process, signal.SIGKILL)
            self.process.wait()


def run_module(module: str, job: Mapping[str, Any], folder: Path, told: Told) -> None:
    """Run a module on a job file, as `run`; its process is stopped with this one.

    Raises JobFailed with what the process said went wrong, TrainingFailed where it said nothing.
    """
    outcome = run((sys.executable, "-m", module), job, folder, told)
    if outcome.error:
        fix, value = str(outcome.error.get("fix") or ""), outcome.error.get("value")
        raise JobFailed(str(outcome.error["detail"]), value=value, fix=fix)
    if not outcome.done:
        raise TrainingFailed(
            f"{module} stopped: {outcome.reason}.",
            value=outcome.code,
            fix="Run the same command again to go on from its last checkpoint.",
        )


def kernel_kills() -> int | None:
    """How many processes the kernel has killed for memory here; None where it does not say."""
    for file in _KILLS:
        try:
            words = file.read_text().split()
            return int(words[words.index("oom_kill") + 1])
        except (OSError, ValueError):
            continue
    return None


def outcome_of(code: int, last: dict[str, Any], log: Path, starved: bool) -> Outcome:
    """How a child ended, of its exit status, its last word and what it wrote to its log."""
    if code == 0 and last.get("event") == "done":
        return Outcome(Ending.DONE)
    if last.get("event") == "error":
        said = f"{last.get('detail', '')} {last.get('fix', '')}".strip()
        ending = Ending.AWAY if last.get("transient") else Ending.REFUSED
        return Outcome(ending, code, said or "it failed without saying why", last)
    if code == 0:
        return Outcome(Ending.DIED, code, "it ended without saying that it was done")
    if code < 0:
        hint = " (out of memory?)" if starved else ""
        reason = f"its process was killed by {signal.Signals(-code).name}{hint}"
        return Outcome(Ending.DIED, code, reason, starved=starved)
    tail = log.read_bytes()[-_TAIL:].decode(errors="replace").splitlines()
    # A launcher such as torchrun ends its report with a line of signs.
    words = [_event(line.strip()) for line in tail if any(letter.isalnum() for letter in line)]
    why = f": {words[-1]}" if words else ""
    return Outcome(Ending.DIED, code, f"its process ended with status {code}{why}")


def _event(line: str) -> str:
    """What a line of a log says: its event, where it is JSON."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    return str(said.get("event") or line) if isinstance(said, dict) else line
