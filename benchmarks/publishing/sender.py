"""`python -m benchmarks.publishing.sender PAIR NAMESPACE HOME`: publish a family's sizes.

A process of its own, whose memory is measured; prints one JSON line for each size, and one at the
end. What the client takes from the environment (the Hub, the lane, where temporary files and its
caches lie: all below HOME) it is given before it starts.
"""

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from benchmarks.publishing.family import open_pair, sizes
from boomerang.hub import library
from boomerang.hub.publish import publish

EVERY = 0.05
"""Seconds between two looks at what lies on disk."""


@dataclass
class Disk:
    """The most that ever lay below a folder, in bytes on disk."""

    folder: Path
    most: int = 0

    def watch(self, until: threading.Event) -> None:
        """Look again and again."""
        while not until.wait(EVERY):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        total = 0
        for path in self.folder.rglob("*"):
            try:
                total += path.stat().st_blocks * 512
            except FileNotFoundError:
                continue
        return total


def memory(which: str) -> int:
    """`VmRSS` or `VmHWM` of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{which}:")[1].split()[0]) * 1024


def main() -> None:
    """Publish, and say what it took."""
    folder, namespace, home = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    disk, over = Disk(home), threading.Event()
    watching = threading.Thread(target=disk.watch, args=(over,))
    watching.start()
    pair = open_pair(folder)
    # What is imported when it is needed counts as the process itself.
    library.huggingface_hub.HfApi()
    before = memory("VmRSS")
    try:
        for size in sizes(pair):
            repo = f"{namespace}/{size.name}"
            publish(repo, size.files, message=size.name, collection="Eight")
            total = sum(file.size for file in size.files.values())
            print(json.dumps({"size": size.name, "bytes": total, "new": size.new,
                              "known": size.known}), flush=True)  # fmt: skip
    finally:
        over.set()
        watching.join()
    print(json.dumps({"before": before, "peak": memory("VmHWM"), "disk": disk.most}))


if __name__ == "__main__":
    main()
