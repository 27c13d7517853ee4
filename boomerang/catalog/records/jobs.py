"""Jobs as people see them: what is worked on, what waits for a worker, what failed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

JobKind = Literal[
    "hash", "distill", "verify", "keep", "measure", "build", "publish", "rebuild", "follow",
    "notify", "settle", "compare", "fetch", "file", "play", "message",
]  # fmt: skip
"""What is done: `hash` the files of a family that is asked for, make or `verify` its student,
`keep` that on the Hub, `measure` its members, `build` and `publish` them, `rebuild` it, `follow`
its teacher to a new commit, `notify` who wants to be told. The rest are parts of these: `settle`
sends what was asked for, `fetch` and `file` read a model's files, `compare` two models;
`play` fetches a pair to try. A `message` is none: no worker can read it."""

QUEUE_OF: dict[JobKind, str] = {
    "distill": "distill", "verify": "distill", "measure": "measure", "publish": "publish",
    "keep": "publish", "play": "play",
}  # fmt: skip
"""The queue from which a worker takes each; what is not here is taken from `assemble`."""


class Stage(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job; times in Unix seconds.

    `what` is a size, a budget, `*` for every size, a host that is told, or a task. `since` is when
    its worker took it, when it began to wait, or when it failed. `due` is when it is tried again,
    where something was in its way, `away_since` since when something outside is, and `attempts`
    how often in a row a worker died of it; `parked` is what was given up for that. `sends` is how
    often it was sent without anybody who took it. `done` of `total` are steps, or bytes that are
    hashed.
    """

    kind: JobKind
    stage: Stage
    family: str | None = None
    name: str | None = None
    student: str | None = None
    what: str | None = None
    worker: str | None = None
    since: float | None = None
    due: float | None = None
    away_since: float | None = None
    attempts: int = 0
    parked: bool = False
    sends: int = 0
    reason: str | None = None
    done: int | None = None
    total: int | None = None

    @property
    def queue(self) -> str:
        """The queue from which a worker takes it."""
        return QUEUE_OF.get(self.kind, "assemble")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What there is to do and what went wrong, at the database's time `now`.

    Of each stage at most as many as were asked for, and in `counts` how many there are: running
    ones those that were begun last first, waiting ones those that wait longest first, failures the
    newest first.
    """

    now: float
    running: tuple[Job, ...]
    waiting: tuple[Job, ...]
    failed: tuple[Job, ...]
    counts: dict[Stage, int]
