"""What the catalog takes and gives: plain frozen records, detached from the database."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from boomerang.patch_order import PatchOrder

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


class Origin(StrEnum):
    """Where a student comes from."""

    DISTILLED = "distilled"
    FOLDER = "folder"
    HUB = "hub"


@dataclass(frozen=True, kw_only=True)
class NewStudent:
    """A student as it is asked for. `key` names it by content: see `student_key`.

    `location` is the folder or the repo id of a student that is given rather than distilled, and
    `revision_commit` its commit on the Hub; `teacher_source` is the folder of a local teacher.
    """

    key: str
    teacher: str
    teacher_commit: str
    kept: tuple[int, ...]
    layers: int
    recipe: dict[str, Any] = field(default_factory=dict)
    recipe_name: str = ""
    data: str | None = None
    data_digest: str | None = None
    seed: int = 0
    origin: Origin = Origin.DISTILLED
    location: str | None = None
    revision_commit: str | None = None
    teacher_source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Student(NewStudent):
    """A student as the catalog knows it; times in Unix seconds, `eta_s` in seconds."""

    state: StudentState
    reason: str | None
    step: int
    steps: int
    loss: float | None
    ce: float | None
    kl: float | None
    cosine: float | None
    tokens: int
    tokens_per_s: float | None
    eta_s: float | None
    generation: int
    cancel: bool
    attempts: int
    micro_batch: int | None
    verify: float | None
    files: dict[str, str] | None
    created: float
    started: float | None
    finished: float | None
    updated: float


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
class NewMember:
    """One rung of a ladder: `k` patched layers, `size` its name, `code` its composition."""

    k: int
    size: str
    code: str
    digest: str
    parameters: int
    bytes: int
    layers: int


@dataclass(frozen=True, kw_only=True)
class Member(NewMember):
    """A member with its three independent facts and what was measured (held-out texts).

    `tasks` has the results of the evaluation harness by name (boomerang.quality.tasks.Result).
    """

    family: str
    built: Fact
    built_reason: str | None
    measured: Fact
    measured_reason: str | None
    published: Fact
    published_reason: str | None
    perplexity: float | None
    kl: float | None
    naive_perplexity: float | None
    naive_kl: float | None
    generation: dict[str, float] | None
    flags: tuple[str, ...] | None
    tasks: dict[str, Any] | None
    repo: str | None
    commit: str | None
    made_of: str | None
    updated: float


@dataclass(frozen=True, kw_only=True)
class NewWant:
    """Something to do once the family is settled: `what` is a size, a budget or `*`."""

    kind: Literal["build", "publish"]
    what: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Want(NewWant):
    """A request that is kept until its members are built or published."""

    id: int
    family: str
    state: Fact
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request turned into the records that the catalog keeps."""

    family: NewFamily
    student: NewStudent
    members: tuple[NewMember, ...]
    wants: tuple[NewWant, ...]


@dataclass(frozen=True, kw_only=True)
class Provisional:
    """A family whose files are not hashed yet: `plan` is what it will be, as far as is known.

    `became` is the id of the family that it is by now; `done` and `total` are bytes hashed.
    """

    id: str
    became: str | None
    name: str
    plan: dict[str, Any]
    requests: tuple[dict[str, Any], ...]
    wants: tuple[dict[str, Any], ...]
    state: Keying
    reason: str | None
    done: int
    total: int
    created: float
    updated: float


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Ids increase in the order in which changes became visible."""

    id: int
    time: float
    family: str | None
    student: str | None
    kind: str
    payload: dict[str, Any]


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


def digest_of(*parts: object) -> str:
    """64 hex digits over a list of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def salted_key(key: str, generation: int) -> str:
    """The key of a student's later generation: 32 hex digits; generation 1 is the key itself."""
    return key if generation == 1 else digest_of(key, generation)[:32]


def has_result(
    tasks: Mapping[str, Any] | None, name: str, limit: int | None, harness: str | None = None
) -> bool:
    """Whether a member's results have one of a task that did not fail, of so many examples.

    With `harness` it must be of that version of the evaluation harness.
    """
    found = (tasks or {}).get(name)
    if found is None or found["failed"] or found["limit"] != limit:
        return False
    return harness is None or found["harness"] == harness
