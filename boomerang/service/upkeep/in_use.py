"""Which files the processes of this machine have open, as far as this process may know."""

import os
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def open_paths() -> frozenset[str]:
    """The paths that processes have open, or in their memory; none where there is no /proc."""
    found: set[str] = set()
    for process in PROC.iterdir() if PROC.is_dir() else ():
        # Other users' processes do not tell, and a process may end at any moment.
        if process.name.isdecimal():
            with suppress(OSError):
                found.update(_descriptors(process / "fd"))
            with suppress(OSError):
                found.update(_mapped(process / "maps"))
    return frozenset(path for path in found if path.startswith("/"))


def _descriptors(folder: Path) -> set[str]:
    found = set()
    for name in os.listdir(folder):
        with suppress(OSError):
            found.add(os.readlink(folder / name))
    return found


def _mapped(maps: Path) -> set[str]:
    # https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html: the path is the sixth field.
    with maps.open(errors="surrogateescape") as lines:
        parts = (line.rstrip("\n").split(None, 5) for line in lines)
        return {one[5] for one in parts if len(one) == 6}


def is_open(path: Path, opened: frozenset[str]) -> bool:
    """Whether a file, or a file below a folder, is among these."""
    whole = str(path.resolve())
    return whole in opened or any(one.startswith(f"{whole}/") for one in opened)
