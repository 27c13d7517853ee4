"""The states of students, families, members and requests, and the jobs that they lead to."""

from enum import StrEnum
from typing import Literal

PROGRESS = "progress"
"""The kind of event that tells how far a distillation is, and nothing else."""
Next = Literal["key", "distill", "measure", "settle", "sweep"]
"""The job that must be sent: hash and key, distil or verify, measure, settle what was asked for,
sweep."""


class StudentState(StrEnum):
    """`queued → distilling → ready | failed | cancelled`."""

    QUEUED = "queued"
    DISTILLING = "distilling"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self not in (StudentState.QUEUED, StudentState.DISTILLING)


class Keying(StrEnum):
    """How far a provisional family is: `hashing → keyed | failed | cancelled`."""

    HASHING = "hashing"
    KEYED = "keyed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Fact(StrEnum):
    """One of the independent facts about a member or a request: `no → running → yes | failed`."""

    NO = "no"
    RUNNING = "running"
    YES = "yes"
    FAILED = "failed"


FactName = Literal["built", "measured", "published"]
