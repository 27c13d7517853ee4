"""The side of a child: its job file, JSON lines, one lock, a clean stop, no orphans."""

import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from boomerang.errors import BadRecipe, BoomerangError, Interrupted
from boomerang.processes.child import end_with_parent

log = logging.getLogger("boomerang.job")

STOPPED = 128 + signal.SIGTERM
"""The exit status of a process that was told to stop, and did so in good order."""


class Stopped(Exception):
    """The process was asked to stop; raised where the work can be left."""


class Reporter:
    """Prints events as JSON lines, and knows whether the process was asked to stop.

    Of many processes one `speaks`; the others say on stderr what has failed.
    """

    def __init__(self, speaks: bool = True) -> None:
        self.stopping = False
        self.speaks = speaks

    def __call__(self, event: str, **fields: object) -> None:
        """Print one event. A reader that has gone away is a request to stop."""
        if not self.speaks:
            return
        try:
            print(json.dumps({"event": event, **fields}), flush=True)
        except BrokenPipeError:
            self.stopping = True
            # Python flushes stdout again on exit, and would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def check(self) -> None:
        """Raise Stopped where the process was asked to stop."""
        if self.stopping:
            raise Stopped

    def failed(self, error: BoomerangError) -> None:
        """Print an error as an event: its slug, its three parts, and whether it may pass."""
        if not self.speaks:
            print(error, file=sys.stderr, flush=True)
        value = error.value if isinstance(error.value, str | int | float | None) else None
        value = str(error.value) if value is None and error.value is not None else value
        said = {"slug": error.slug, "detail": error.detail, "value": value, "fix": error.fix}
        self("error", **said, transient=error.transient)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Turn SIGTERM into a request to stop, and have one sent when the parent dies."""
        before = signal.signal(signal.SIGTERM, self._stop)
        self.stopping = end_with_parent(signal.SIGTERM) or self.stopping
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def event_of(line: bytes) -> dict[str, Any] | None:
    """The event that a line of a child's output is; None where it is something else."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. Raises Interrupted where another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Interrupted(
                f"Another process works in {folder.name!r}.",
                value=str(folder),
                fix="Wait for it, or stop it.",
            ) from None
        yield


class JobFile(BaseModel):
    """A job, called by `title` in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str] = "job"

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a job file. Raises BadRecipe where it is none."""
        path = Path(path)
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadRecipe(
                f"{path.name} is no {cls.title}: {' '.join(str(error).split())}",
                value=str(path),
                fix="Give the path of a job file as the service writes it.",
            ) from None


def run_job(
    work: Callable[[], None],
    report: Reporter,
    failed: Callable[[Exception], BoomerangError],
    *expected: type[Exception],
) -> int:
    """Do the work of a process, and return its exit status: 0, 1 with an error, or STOPPED.

    `failed` says what an error means that is no BoomerangError, but one of memory, of the system,
    or `expected`.
    """
    caught: tuple[type[Exception], ...] = (MemoryError, RuntimeError, OSError, *expected)
    log.info("begun")
    with report.supervised():
        try:
            work()
        except Stopped:
            log.info("stopped as asked")
            return STOPPED
        except BoomerangError as error:
            return _failed(report, error)
        except caught as error:
            return _failed(report, failed(error))
    log.info("done")
    return 0


def _failed(report: Reporter, error: BoomerangError) -> int:
    report.failed(error)
    log.error("failed: %s", error)
    return 1
