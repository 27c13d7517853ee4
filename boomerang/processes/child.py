"""Where every child process is started: it dies with the thread that started it.

`python -m boomerang.processes.child PARENT COMMAND…` becomes the command. Linux sends the signal
when the thread that started this process ends, however it ends. The request survives exec, and is
made here, after the fork, rather than in the forking process: code between fork and exec in a
process with threads may find any lock taken.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from subprocess import DEVNULL
from typing import IO

_PR_SET_PDEATHSIG = 1


def start(
    arguments: Sequence[str],
    *,
    hears: bool = False,
    output: int | IO[bytes] = DEVNULL,
    errors: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command that ends when the calling thread does.

    It has a session of its own, so that ^C reaches only its parent, and no input unless it `hears`.
    """
    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(os.getpid()), *arguments],
        stdin=subprocess.PIPE if hears else DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        env=environment,
    )


def send(process: subprocess.Popen[bytes], number: signal.Signals, *, group: bool = True) -> None:
    """Send a signal to a child that was started, and to its own children; one that ended is none.

    A launcher such as torchrun has children of its own; without `group` they are left out.
    """
    try:
        (os.killpg if group else os.kill)(process.pid, number)
    except ProcessLookupError:
        return


def end_with_parent(number: int, parent: int | None = None) -> bool:
    """Have this process sent a signal when its parent dies; whether the parent has died already."""
    parent = os.getppid() if parent is None else parent
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    # It may have died before the kernel was told to watch it.
    return os.getppid() != parent


def main() -> None:
    """Ask for the signal, make sure that the parent still lives, and become the command."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if end_with_parent(signal.SIGTERM, parent):
        raise SystemExit(143)
    os.execvp(arguments[0], arguments)  # noqa: S606 - that is the point


if __name__ == "__main__":
    main()
