"""The processes below a service: found by what they run, and killed."""

import os
import random
import signal
from pathlib import Path

_KINDS = (
    ("trainer", "boomerang.distill"),
    ("measurer", "boomerang.quality"),
    ("distill worker", "distill,measure"),
    ("assemble worker", "assemble,publish"),
    ("front end", "app.main:app"),
    ("queue", "valkey"),
)


def descendants(parent: int) -> dict[int, str]:
    """The processes below one, by id, each as one of the kinds above."""
    commands: dict[int, str] = {}
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if status[0] != "Z":
            commands[int(folder.name)], parents[int(folder.name)] = said, int(status[1])
    below, grown = {parent}, True
    while grown:
        more = {pid for pid, of in parents.items() if of in below} - below
        below, grown = below | more, bool(more)
    named = {pid: _kind(commands[pid]) for pid in below - {parent} if pid in commands}
    return {pid: kind for pid, kind in named.items() if kind is not None}


def _kind(command: str) -> str | None:
    return next((kind for kind, word in _KINDS if word in command), None)


def kill_one(parent: int, draw: random.Random) -> str | None:
    """Kill a process of a kind drawn among those there are; its kind, None where there is none."""
    found = descendants(parent)
    if not found:
        return None
    kind = draw.choice(sorted(set(found.values())))
    pid = draw.choice(sorted(pid for pid, of in found.items() if of == kind))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    return kind
