"""A process of the service: started until it is well, killed, frozen, and started again."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_PATIENCE = 90.0


class Part:
    """One process with all below it. Safe to use from several threads."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path,
        well: Callable[[], bool], *, user: str | None = None,
    ) -> None:  # fmt: skip
        self.name, self.log, self._before = name, log, 0
        self._arguments, self._environment, self._user = list(arguments), dict(environment), user
        self._well, self._lock = well, threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []

    @property
    def pid(self) -> int | None:
        """The process, as long as it lives."""
        alive = self._process is not None and self._process.poll() is None
        return self._process.pid if alive and self._process is not None else None

    def start(self) -> None:
        """Start it, and again where it ends at once. Raises TimeoutError where it stays unwell."""
        until = time.monotonic() + _PATIENCE
        with self._lock:
            while True:
                if self.pid is None:
                    self._begin()
                if self._well():
                    return
                if time.monotonic() > until:
                    raise TimeoutError(f"{self.name} did not come up: see {self.log}")
                time.sleep(0.1)

    def _begin(self) -> None:
        self._before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments, env=self._environment, stdout=log, stderr=log, cwd="/",
                start_new_session=True, user=self._user,
            )  # fmt: skip

    def said(self) -> str:
        """What it has written into its log since it was started last."""
        with self.log.open("rb") as log:
            log.seek(self._before)
            return log.read().decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL to it alone: what it started is left as a crash would leave it."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def end(self) -> None:
        """SIGKILL to it and to all of its session."""
        with self._lock:
            if self._process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def freeze(self) -> None:
        """Have it take no step."""
        if (pid := self.pid) is not None:
            self._frozen.append(pid)
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        while self._frozen:
            with suppress(ProcessLookupError):
                os.kill(self._frozen.pop(), signal.SIGCONT)


def children(pid: int, word: str) -> list[int]:
    """The processes anywhere below one whose command has a word, oldest first."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(OSError):
                    command = Path(f"/proc/{child}/cmdline").read_bytes().decode(errors="replace")
                    found += [int(child)] if word in command else []
                    found += children(int(child), word)
    return found
