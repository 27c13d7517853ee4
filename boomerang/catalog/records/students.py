"""Students, as they are asked for and as the catalog knows them."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from boomerang.catalog.records.states import StudentState


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

    Where the layers `kept` are found by measuring, `map_rule` is the rule's name, and they are
    provisional, as many as there will be, until they are `pinned`; `map_reason` says why they are
    not those that the rule finds.
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
    map_rule: str | None = None
    pinned: bool | None = None
    map_reason: str | None = None

    @property
    def provisional(self) -> bool:
        """Whether the layers that it keeps are still to be measured."""
        return self.map_rule is not None and not self.pinned


@dataclass(frozen=True, kw_only=True)
class Student(NewStudent):
    """A student as the catalog knows it; times in Unix seconds, `eta_s` in seconds.

    `hub_repo` and `hub_commit` are where it is kept on the Hub, if it is.
    """

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
    saved: int | None
    micro_batch: int | None
    verify: float | None
    files: dict[str, str] | None
    hub_repo: str | None
    hub_commit: str | None
    created: float
    started: float | None
    finished: float | None
    updated: float


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a student was distilled, and the parameters of it and of its teacher."""

    tokens_per_s: float
    student: int
    teacher: int


def digest_of(*parts: object) -> str:
    """64 hex digits over a list of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def salted_key(key: str, generation: int) -> str:
    """The key of a student's later generation: 32 hex digits; generation 1 is the key itself."""
    return key if generation == 1 else digest_of(key, generation)[:32]
