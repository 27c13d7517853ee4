"""Families, as they are asked for and as the catalog knows them."""

from dataclasses import dataclass, field
from typing import Any

from boomerang.catalog.records.members import NewMember, digest_of
from boomerang.catalog.records.requests import NewRequest
from boomerang.catalog.records.states import Fact, Next
from boomerang.catalog.records.students import NewStudent, Student
from boomerang.family.patch_order import PatchOrder


@dataclass(frozen=True, kw_only=True)
class NewFamily:
    """A family as it is asked for: a teacher at one commit, a student, an order.

    `source` is the teacher's folder, or None on the Hub; `order` is a name or the long student
    layers in patch order, separated by commas; `tasks` are those of the evaluation harness that
    are run, each with the number of its examples (None: all).
    """

    name: str
    teacher: str
    revision: str | None
    commit: str
    source: str | None
    student: str
    order: str
    request: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    gated: bool = False
    private: bool = False
    published_repo: str | None = None
    tasks: dict[str, int | None] | None = None

    @property
    def id(self) -> str:
        """12 hex digits: the same request names the same family."""
        return digest_of(self.teacher, self.commit, self.student, self.order)[:12]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family as the catalog knows it; `patch_order` is None until there is one.

    `settled` says that its measuring is over, whatever came of it.
    """

    id: str
    name: str
    teacher: str
    revision: str | None
    commit: str
    source: str | None
    student: str
    order: str
    request: dict[str, Any]
    license: str | None
    gated: bool
    private: bool
    published_repo: str | None
    patch_order: PatchOrder | None
    chosen: str | None
    measuring: Fact
    settled: bool
    measuring_reason: str | None
    cancel: bool | None
    tasks: dict[str, int | None] | None
    created: float
    updated: float


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request turned into the records that the catalog keeps."""

    family: NewFamily
    student: NewStudent
    members: tuple[NewMember, ...]
    requests: tuple[NewRequest, ...]


@dataclass(frozen=True, kw_only=True)
class Created:
    """What a request led to: `created` by this call, and the job this caller must send."""

    family: Family
    student: Student
    created: bool
    next: Next | None


@dataclass(frozen=True, kw_only=True)
class Rebuilt(Created):
    """What a rebuild led to; `event` is the last event before it."""

    event: int
