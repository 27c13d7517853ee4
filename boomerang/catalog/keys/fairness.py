"""Whose turn it is: of all work that waits for devices, which is done next.

Each key has its turn, whatever the others ask for. First comes the key that fewest devices work
for. Of those alike, the one whose turn is earliest: a key's turn is when it was served last, or
when it asked if that is later, put off by the seconds of devices that it used more than the least
of those that wait, at most HEAD_START. Of one key the work that waits longest comes first.

No key starves: as soon as its turn has passed, every other key is served at most once before it,
for its own turn is then in the future. Long jobs are paid for: who used a device for an hour lets
others have theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HEAD_START = 3600.0
"""Seconds by which a key's turn can be put off for what it used, however much that was."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a key has of the devices: how many work for it, the seconds it used of late, and when
    its last turn ended (0 before the first).
    """

    running: int = 0
    used: float = 0.0
    served: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Work that waits, whose it is, and since when (seconds of the same clock as Share.served)."""

    subject: str
    owner: str
    since: float


def fairest(waiting: Iterable[Waiting], shares: Mapping[str, Share]) -> Waiting | None:
    """What is done next; None where nothing waits. An owner without a share has had nothing."""
    first: dict[str, Waiting] = {}
    for one in waiting:
        before = first.get(one.owner)
        if before is None or (one.since, one.subject) < (before.since, before.subject):
            first[one.owner] = one
    none = Share()
    least = min((shares.get(owner, none).used for owner in first), default=0.0)

    def turn(one: Waiting) -> tuple[int, float, float, str]:
        share = shares.get(one.owner, none)
        debt = min(share.used - least, HEAD_START)
        return share.running, max(share.served, one.since) + debt, one.since, one.subject

    return min(first.values(), key=turn, default=None)
