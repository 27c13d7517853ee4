"""Where a test gets its front end from."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.support.places import ROOT


class Forked:
    """A front end that another process forked; it says when it has ended, and not how."""

    def __init__(self, pid: int) -> None:
        self.pid, self._end = pid, os.pidfd_open(pid)

    def poll(self) -> int | None:
        return 0 if self._ended(0) else None

    def wait(self, timeout: float | None = None) -> None:
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired("a front end", timeout or 0)

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, what: signal.Signals) -> None:
        if not self._ended(0):
            signal.pidfd_send_signal(self._end, what)

    def _ended(self, seconds: float | None) -> bool:
        return bool(select.select([self._end], [], [], seconds)[0])

    def __del__(self) -> None:
        os.close(self._end)


@cache
def _nursery() -> "subprocess.Popen[str]":
    """One for each process of tests; it ends with it, as its lines do."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip


def begin(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> Forked:
    """Have uvicorn run with these arguments, in a process of its own."""
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    told = {"arguments": arguments, "environment": environment, "folder": str(folder)}
    print(json.dumps(told | {"log": str(log)}), file=nursery.stdin, flush=True)
    return Forked(int(nursery.stdout.readline()))
