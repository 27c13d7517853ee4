"""The memory that a device, or the system and its control groups, can still give."""

from pathlib import Path

import torch


def available(where: torch.device) -> int:
    """Bytes of memory that this process can still have on a device."""
    if where.type == "cuda":
        return int(torch.cuda.mem_get_info(where)[0])
    free = _told(Path("/proc/meminfo"), "MemAvailable:")
    found = [] if free is None else [free * 1024]
    found += [left for group in _CGROUPS if (left := _left(*group)) is not None]
    # A system that tells nothing refuses nothing: it runs out, and the micro-batch is halved.
    return min(found, default=1 << 62)


def _left(limit: str, used: str, stat: str, reclaimed: str) -> int | None:
    """What a control group leaves: cached files are given back when memory is asked for."""
    try:
        most, now = int(Path(limit).read_text()), int(Path(used).read_text())
    except (OSError, ValueError):
        # No such group, or no limit ("max").
        return None
    return most - now + (_told(Path(stat), reclaimed) or 0)


def _told(file: Path, name: str) -> int | None:
    """The number after a name in a file of the kernel's."""
    try:
        words = file.read_text().split()
        return int(words[words.index(name) + 1])
    except (OSError, ValueError):
        return None


_GROUP = "/sys/fs/cgroup/"
_CGROUPS = (
    (f"{_GROUP}memory.max", f"{_GROUP}memory.current", f"{_GROUP}memory.stat", "inactive_file"),
    (
        f"{_GROUP}memory/memory.limit_in_bytes",
        f"{_GROUP}memory/memory.usage_in_bytes",
        f"{_GROUP}memory/memory.stat",
        "total_inactive_file",
    ),
)
"""The two versions of control groups: limit, use, statistics, and what can be reclaimed."""
