"""A part of the service as a child process: started, watched, started again, stopped."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from boomerang.processes.child import send, start

READY = "boomerang worker ready"
"""What a worker writes once it takes jobs."""

_LONGEST_WAIT = 30.0
_STEADY_SECONDS = 60.0


class Daemon:
    """One child process that is kept running.

    It must be started by a thread that lives as long as the service: it dies with that thread.
    """

    def __init__(
        self,
        *,
        name: str,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        healthy: Callable[[], bool] | None = None,
        ready_line: str | None = None,
        leaves: Path | None = None,
        renewed: Callable[[], None] | None = None,
        stop_seconds: float = 10.0,
    ) -> None:
        """`healthy`, or `ready_line` in the log, tells when it is up.

        `leaves` is a file that it leaves behind, removed once it is stopped; `renewed` is called
        after it died and was started again.
        """
        self.name = name
        self.log = log
        self._arguments = arguments
        self._environment = dict(environment or {})
        self._healthy = healthy
        self._ready_line = ready_line
        self._leaves = leaves
        self._renewed = renewed
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0
        self._started = 0.0
        self._failures = 0
        self._restart_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process; its output goes to the end of the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._offset = output.tell()
            self._process = start(
                self._arguments,
                output=output,
                errors=subprocess.STDOUT,
                environment=os.environ | {"PYTHONUNBUFFERED": "1"} | self._environment,
            )
        self._started = time.monotonic()
        self._restart_at = None

    def wait_until_healthy(self, seconds: float, stop: threading.Event) -> bool:
        """Wait until it is up; False where it ends, takes too long, or `stop` is set."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stop.is_set():
            if self._process is None or self._process.poll() is not None:
                return False
            if self._up():
                return True
            stop.wait(0.1)
        return False

    def _up(self) -> bool:
        if self._ready_line is not None:
            with self.log.open("rb") as log:
                log.seek(self._offset)
                return self._ready_line.encode() in log.read()
        return self._healthy is None or self._healthy()

    def look(self, now: float) -> str | None:
        """Start it again where it died, later after each death in a row; say what happened."""
        if self._restart_at is not None:
            if now < self._restart_at:
                return None
            self.start()
            if self._renewed is not None:
                self._renewed()
            return f"started again (process {self.pid})"
        if self._process is None or self._process.poll() is None:
            return None
        if now - self._started > _STEADY_SECONDS:
            self._failures = 0
        wait = min(2.0**self._failures, _LONGEST_WAIT)
        self._failures += 1
        self._restart_at = now + wait
        return f"ended with status {self._process.returncode}; again in {wait:g} s, see {self.log}"

    def stop(self) -> None:
        """Ask it to stop; kill it, and whatever it left behind, when it does not."""
        process, self._process = self._process, None
        self._restart_at = None
        if process is None:
            return
        send(process, signal.SIGTERM, group=False)
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            send(process, signal.SIGKILL)
            process.wait()
        if self._leaves is not None:
            self._leaves.unlink(missing_ok=True)
