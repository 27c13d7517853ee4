"""What travelled when eight sizes were published, and what that took of memory and disk."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.publishing import models
from benchmarks.publishing.local_hub import local_hub


@dataclass(frozen=True)
class Sent:
    """One size, in bytes: all of it, tensors that no size before had, and what travelled how."""

    name: str
    size: int
    new: int
    known: int
    lanes: dict[str, int]

    @property
    def travelled(self) -> int:
        """By all lanes."""
        return sum(self.lanes[lane] for lane in ("lfs", "xet", "shard", "regular"))

    @property
    def again(self) -> int:
        """What travelled beyond the new tensors."""
        return max(self.travelled - self.new, 0)


@dataclass
class Run:
    """A family published by one lane; `disk` is the most that lay below the publisher's home."""

    lane: str
    pair: int
    sizes: list[Sent] = field(default_factory=list)
    before: int = 0
    peak: int = 0
    disk: int = 0

    @property
    def travelled(self) -> int:
        """By all lanes, all sizes."""
        return sum(size.travelled for size in self.sizes)

    @property
    def again(self) -> float:
        """The share sent again of what had been sent before."""
        known = sum(size.known for size in self.sizes)
        return sum(size.again for size in self.sizes) / known if known else 0.0


def run(folder: Path, pair: Path, lane: str, say: Callable[[str], None]) -> Run:
    """Publish the family of `pair` by `xet` or `lfs`, from a new machine to a new Hub."""
    weights = [pair / side / "model.safetensors" for side in ("teacher", "student")]
    done = Run(lane, sum(path.stat().st_size for path in weights))
    home = folder / f"home-{lane}"
    home.mkdir(parents=True)
    with local_hub(folder / f"hub-{lane}") as hub:
        environment = {
            **os.environ, **hub.environment(lane == "xet"), "HF_HOME": str(home),
            "HF_XET_CACHE": str(home / "xet"), "TMPDIR": str(home),
        }  # fmt: skip
        command = ["-m", "benchmarks.publishing.sender", str(pair), "family", str(home)]
        with subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, text=True, env=environment
        ) as sender:
            assert sender.stdout is not None
            for line in sender.stdout:
                said = json.loads(line)
                if "size" not in said:
                    done.before, done.peak, done.disk = (
                        said["before"], said["peak"], said["disk"]
                    )  # fmt: skip
                    continue
                lanes = hub.traffic()["totals"][f"family/{said['size']}"]
                sent = Sent(said["size"], said["bytes"], said["new"], said["known"], lanes)
                done.sizes.append(sent)
                say(f"{lane}: {sent.name}, {sent.travelled / 1e6:.1f} MB travelled")
        if sender.returncode:
            raise SystemExit(f"publishing by {lane} failed")
    return done


def pair(folder: Path, shape: models.Shape, tied: bool) -> Path:
    """Make the checkpoints, where they are not there yet."""
    name = f"pair-{shape.hidden}{'-tied' if tied else ''}"
    if not (folder / name).exists():
        models.make(folder / name, shape, tied)
    return folder / name
