"""A process that has imported what a front end needs, and forks one for each line it is told.

A line is what the front end is given: environment, folder, log and arguments of uvicorn. Answered
is its pid. Only `app.main` itself, which reads the environment, is imported after the fork.
"""

import ast
import gc
import importlib
import json
import os
import signal
import sys
from typing import Any

import uvicorn.main

from tests.support.places import ROOT


def imports() -> list[str]:
    """What app/main.py imports, a module each."""
    tree = ast.parse((ROOT / "app" / "main.py").read_text())
    found = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def become(told: dict[str, Any]) -> None:
    """Be the front end, for good."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, to in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, to)
    sys.argv = ["uvicorn", *told["arguments"]]
    uvicorn.main.main()


def serve() -> None:
    """Fork a front end for each line, until there are no more."""
    # Nobody waits for them here: they are gone once they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in imports():
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            # It is a name within the module.
            continue
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            gc.unfreeze()
            become(json.loads(line))
            return
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
