"""The states of what the catalog knows, the leases on it, and what happened to it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from boomerang.errors import BoomerangError

PROGRESS = "progress"
"""The kind of event that tells how far a distillation is, and nothing else."""
PUBLISHING = "publishing"
"""The kind of event that tells how much of a member the Hub has."""
STEPS = (PROGRESS, PUBLISHING)
"""The kinds of which only the newest says anything."""
Next = Literal["key", "distill", "keep", "measure", "settle", "sweep", "follow", "tell", "rebuild"]
"""The job that must be sent: hash and key, distil or verify, keep on the Hub, measure, settle what
was asked for, sweep, follow a teacher to its new commit, tell who wants to be told, look at what is
there."""


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


class CatalogChanged(BoomerangError):
    """A later version of Boomerang has changed the catalog since this program opened it."""

    slug, title = "catalog-changed", "This program is older than its catalog"


class LostLease(BoomerangError):
    """Somebody else took over: whoever sees this must stop and write nothing more."""

    slug, title = "lost-lease", "Another worker took over"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on `subject`; `fence` is larger than that of every earlier holder."""

    subject: str
    holder: str
    fence: int
    expires: float

    def lost(self) -> LostLease:
        """What is said to a holder that was replaced."""
        return LostLease(
            f"The lease {self.fence} of {self.subject} was lost.",
            value=self.subject,
            fix="Let the new holder finish.",
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Ids increase in the order in which changes became visible."""

    id: int
    time: float
    family: str | None
    student: str | None
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """The newest event, and the ids of families and keys of students that changed before it."""

    newest: int
    families: frozenset[str] = frozenset()
    students: frozenset[str] = frozenset()
