"""A child that is spoken with: JSON lines to its stdin, events from its stdout, for as long as it
is wanted.
"""

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from boomerang.processes.child import send, start
from boomerang.processes.json_lines import environment, outcome_of
from boomerang.processes.reporting import event_of


class Talking:
    """A command that was started with a job file as its last argument.

    It must be started by a thread that lives as long as it is wanted: it dies with that thread.
    Its stderr goes to `folder/stderr.log`, whose last lines explain an unexplained death.
    """

    def __init__(self, arguments: Sequence[str], job: Mapping[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, self._log = folder / "job.json", folder / "stderr.log"
        path.write_text(json.dumps(job))
        with self._log.open("wb") as errors:
            self._process = start(
                [*arguments, str(path)], hears=True, output=subprocess.PIPE, errors=errors,
                environment=environment(),
            )  # fmt: skip
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._last: dict[str, Any] = {}
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="events", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def tell(self, line: Mapping[str, Any]) -> None:
        """Write it a line; what cannot be told to a child that is gone is told by its events."""
        assert self._process.stdin is not None  # noqa: S101 - it was started so
        with suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()

    def event(self, seconds: float) -> dict[str, Any] | None:
        """Its next event; None once it has ended. Raises queue.Empty where none comes in time."""
        if self._ended:
            return None
        found = self._events.get(timeout=seconds)
        self._ended = found is None
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it was started so
        with self._process.stdout as lines:
            for line in lines:
                event = event_of(line)
                if event is not None:
                    if event["event"] == "error":
                        self._last = event
                    self._events.put(event)
        self._process.wait()
        self._events.put(None)

    @property
    def reason(self) -> str:
        """Why it ended, of a child that has."""
        code = self._process.wait()
        starved = code == -signal.SIGKILL
        return outcome_of(code, self._last, self._log, starved).reason or "it ended"

    def stop(self, seconds: float) -> None:
        """End it: asked to, and killed where it takes longer than that."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError, ValueError):
                self._process.stdin.close()
        send(self._process, signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            send(self._process, signal.SIGKILL)
            self._process.wait()
        self._reader.join()
