"""Jobs: what runs, what waits, what failed, and what helps."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer, Redact, fields_of
from boomerang.catalog.records.jobs import Job, JobKind, Jobs, Stage
from boomerang.catalog.setbacks import Limits

JOB_EXAMPLE: dict[str, Any] = {
    "kind": "distill", "stage": "waiting", "queue": "distill", "family": "0f3c9a7be214",
    "name": "Qwen3-4B-Base", "student": "5d" * 16, "what": None, "worker": None,
    "since": 1767226300.0, "due": 1767226420.0, "away_since": 1767226300.0, "attempts": 0,
    "parked": False, "sends": 0, "done": 120, "total": 500,
    "reason": "The Hub is away; again in 120 s", "again": None,
    "fix": "It is tried again by itself, until what it needs was away for 6 h.",
}  # fmt: skip
EXAMPLE: dict[str, Any] = {
    "now": 1767226310.0, "counts": {"running": 0, "waiting": 1, "failed": 0},
    "running": [], "waiting": [JOB_EXAMPLE], "failed": [],
}  # fmt: skip

Again = Literal["retry", "rebuild"]


class JobAnswer(Answer):
    """One job."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    kind: JobKind
    stage: Stage
    queue: str = Field(description="from which a worker takes it")
    family: str | None
    name: str | None = Field(description="what the family is called")
    student: str | None
    what: str | None = Field(description="a size, a budget, or * for every size")
    worker: str | None = Field(
        description="machine and process that do it; keys that may only read are not told"
    )
    since: float | None = Field(
        description="when its worker took it, when it began to wait, or when it failed"
    )
    due: float | None = Field(description="when it is tried again, if something is in its way")
    away_since: float | None = Field(description="since when something that it needs is away")
    attempts: int = Field(description="how often in a row a worker died of it")
    parked: bool = Field(
        description="it was given up, as it kills its worker or fails in a way that nobody has "
        "thought of; it is tried again when somebody asks for that"
    )
    sends: int = Field(description="how often it was sent again, as nobody took it")
    reason: str | None
    fix: str | None = Field(description="what helps")
    again: Again | None = Field(description="POST /families/{family}/… has it begun anew")
    done: int | None = Field(description="steps, or bytes that are hashed")
    total: int | None


class CountsAnswer(Answer):
    """How many there are of each stage."""

    running: int
    waiting: int
    failed: int


class JobsAnswer(Answer):
    """What runs (newest first), waits (longest first) and failed (newest first)."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    now: float = Field(description="the time by the catalog's clock, as all times")
    counts: CountsAnswer
    running: list[JobAnswer]
    waiting: list[JobAnswer]
    failed: list[JobAnswer]


_OWN = tuple(
    name for name in JobAnswer.model_fields if name not in ("worker", "fix", "again", "what")
)
_AGAIN: Mapping[JobKind, Again] = {
    "hash": "retry", "distill": "retry", "measure": "retry", "build": "retry", "publish": "retry",
    "keep": "rebuild", "rebuild": "rebuild",
}  # fmt: skip
_FIXES: Mapping[JobKind, str] = {
    "hash": "See that the files of teacher and student can be read, then retry.",
    "distill": "Put right what it names, then retry: what was distilled so far is used where it "
    "can be.",
    "keep": "See that the service's token may write there, then rebuild: its student is looked "
    "at, and pushed again.",
    "measure": "Put right what it names, then retry: figures that there are stay.",
    "build": "Put right what it names, then retry: sizes that are built stay.",
    "publish": "Put right what it names, then retry: sizes that are published stay.",
    "rebuild": "Put right what it names, then rebuild: its page says what was found.",
    "message": "Nothing is lost by it: the job is sent again from the catalog. See that front end "
    "and workers are of the same version, and that nobody else writes to the queue.",
}


def jobs_json(
    found: Jobs, redact: Redact, limits: Limits, *, workers: bool
) -> dict[str, Any]:  # fmt: skip
    """Jobs with what helps; who works on them is said where `workers` may be known."""
    stages = {"running": found.running, "waiting": found.waiting, "failed": found.failed}
    return {
        "now": found.now,
        "counts": {str(stage): many for stage, many in found.counts.items()},
        **{
            stage: [_job(job, redact, limits, workers=workers) for job in jobs]
            for stage, jobs in stages.items()
        },
    }


def _job(job: Job, redact: Redact, limits: Limits, *, workers: bool) -> dict[str, Any]:
    failed = job.stage is Stage.FAILED and job.family is not None
    shown: dict[str, Any] = redact(fields_of(job, _OWN))
    # Machines of ours, and hosts that somebody wants told.
    shown["worker"] = _process(job.worker) if workers and job.worker else None
    shown["what"] = job.what if workers or job.kind != "notify" else None
    helped = failed or job.kind == "message"
    shown["fix"] = _FIXES.get(job.kind) if helped else _waiting(job, limits)
    shown["again"] = _AGAIN.get(job.kind) if failed else None
    return shown


def _process(holder: str) -> str:
    """Machine and process of who holds a lease."""
    return ":".join(holder.split(":")[:2])


def _waiting(job: Job, limits: Limits) -> str | None:
    if job.stage is not Stage.WAITING:
        return None
    if job.due is not None and job.attempts:
        return (
            f"It is tried again by itself; after {limits.attempts} workers that were lost at it "
            "it has failed."
        )
    if job.due is not None:
        return (
            "It is tried again by itself, until what it needs was away for "
            f"{limits.seconds / 3600:.3g} h."
        )
    if job.sends:
        return f"Nobody has taken it: see that a worker listens to the queue {job.queue!r}."
    return None
