"""Which of a ladder's members run on devices of the usual sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

from boomerang.family.memory import GIB

DEVICES = (8, 16, 24, 48, 80)
"""Memories of devices that people have, in GiB as their makers count (a 24 GB card has 24 GiB)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What a device of `bytes` holds.

    `member` is the index of the largest member that fits, None where none does; `parameters` the
    most that would, read off the line between two members, None where all fit.
    """

    label: str
    bytes: int
    member: int | None
    parameters: int | None


def fits(
    needs: Sequence[tuple[int, int]], *, share: float = 1.0, devices: Sequence[int] = DEVICES
) -> tuple[Fit, ...]:
    """For each device what fits of members given as (parameters, bytes that running takes).

    Members are in the order of their parameters. `share` is the part of a device that a runtime
    uses (memory.Runtime).
    """
    found = []
    for size in devices:
        room = int(size * GIB * share)
        fitting = [at for at, (_, need) in enumerate(needs) if need <= room]
        found.append(Fit(f"{size} GB", size * GIB, max(fitting, default=None), _most(needs, room)))
    return tuple(found)


def _most(needs: Sequence[tuple[int, int]], room: int) -> int | None:
    """The parameters at which what is needed reaches the room, on the line through the members."""
    above = next((at for at, (_, need) in enumerate(needs) if need > room), None)
    if above is None:
        return None
    if len(needs) == 1:
        return needs[0][0] * room // needs[0][1]
    # Below the smallest member the line through the first two goes on.
    (x0, y0), (x1, y1) = needs[max(above, 1) - 1], needs[max(above, 1)]
    if y1 <= y0:
        return x0
    return max(0, x0 + (x1 - x0) * (room - y0) // (y1 - y0))
