"""`python -m boomerang.processes.child PARENT COMMAND…`: become a command that dies with PARENT.

Linux sends the signal when the thread that started this process ends, however it ends. The
request survives exec, and is made here, after the fork, rather than in the forking process: code
between fork and exec in a process with threads may find any lock taken.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def command(*arguments: str) -> list[str]:
    """The command line that runs `arguments` and ends when the calling thread does."""
    return [sys.executable, "-m", __name__, str(os.getpid()), *arguments]


def main() -> None:
    """Ask for the signal, make sure that the parent still lives, and become the command."""
    parent, arguments = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            raise SystemExit(143)
    os.execvp(arguments[0], arguments)  # noqa: S606 - that is the point


if __name__ == "__main__":
    main()
