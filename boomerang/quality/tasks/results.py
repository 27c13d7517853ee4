"""What is asked of the evaluation harness, and what a member reached in it."""

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class TaskRequest(BaseModel):
    """A task by name, of `limit` examples (all if None); `known` are codes that have it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    limit: int | None = Field(default=None, ge=1)
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Metric:
    """One figure; `stderr` is its standard error, None where the harness gives none.

    `version` is that of the task (a group has none), `shots` the examples in the prompt.
    """

    task: str
    metric: str
    filter: str
    value: float
    stderr: float | None
    version: str | None
    samples: int | None
    shots: int | None


@dataclass(frozen=True)
class Result:
    """What a member reached in a task: `metrics`, or the reason for which there are none."""

    name: str
    limit: int | None
    harness: str | None
    metrics: tuple[Metric, ...] = ()
    failed: str | None = None

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "metrics": [asdict(metric) for metric in self.metrics]}
