"""A disk that is full as long as a file says so: no file below the home can be opened to write.

Python's own audit hook is asked at each open, in every process of the service, by any user.
"""

import errno
import os
import sys
from typing import Any

_HOME, _FULL = os.environ.get("CHAOS_HOME", ""), os.environ.get("CHAOS_FULL", "")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[2], int) or not arguments[2] & _WRITES:
        return
    path = arguments[0]
    if not isinstance(path, str) or not path.startswith(_HOME) or path.endswith(".log"):
        return
    try:
        os.stat(_FULL)
    except OSError:
        return
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


if _HOME and _FULL:
    sys.addaudithook(_look)
