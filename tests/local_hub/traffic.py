"""What travelled to the test Hub: every arrival, by repository and lane, on disk as it happens."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.local_hub.repos import now

LANES = ("lfs", "xet", "shard", "regular", "copied")
"""Bodies of LFS, xorbs of xet, what xet says about them, files within a commit; and what did not
travel, because it was copied here.
"""


@dataclass(frozen=True)
class Arrival:
    """`size` bytes of a lane, `again` of which are content that some commit had then already.

    `name` is the sha256 of a large file, the hash of a xorb or of a shard, or the path of a regular
    file; bytes of an upload that was cut off count as well. What a xorb brings again is known when
    its shard is there, and stands with that.
    """

    at: str
    repo: str
    lane: str
    name: str
    size: int
    again: int = 0


class Traffic:
    """A log that a restarted Hub goes on with."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self.arrivals = [Arrival(**json.loads(line)) for line in lines]

    def add(self, repo: str, lane: str, name: str, size: int, again: int = 0) -> None:
        made = Arrival(now(), repo, lane, name, size, again)
        self.arrivals.append(made)
        with open(self.path, "a") as file:
            file.write(json.dumps(asdict(made)) + "\n")

    def totals(self) -> dict[str, dict[str, int]]:
        """Bytes by repository and lane; `again` is one of the lanes here."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys((*LANES, "again"), 0))
        for one in self.arrivals:
            found[one.repo][one.lane] += one.size
            found[one.repo]["again"] += one.again
        return dict(found)

    def sent(self, *lanes: str, repo: str | None = None) -> int:
        """Bytes of these lanes, by default of all that travelled."""
        wanted = lanes or ("lfs", "xet", "shard", "regular")
        return sum(
            one.size for one in self.arrivals
            if one.lane in wanted and repo in (None, one.repo)
        )  # fmt: skip
