"""Tasks of the evaluation harness for members by name: nothing is built, data are read once.

A task that cannot be run is a result too: it is told with its reason, and never as a figure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from boomerang.errors import BoomerangError
from boomerang.family.composition import Composition
from boomerang.modules.couple import Couple
from boomerang.processes.reporting import Stopped
from boomerang.texts.task_names import check, harness_version
from boomerang.tokens.packing import Tokeniser

if TYPE_CHECKING:
    from boomerang.quality.tasks.harness import Harness


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


def run_tasks(
    couple: Couple, members: Mapping[int, Composition], tokeniser: Tokeniser,
    asked: Sequence[TaskRequest], folder: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Result]]:  # fmt: skip
    """The results of every task for every member, by the member's k.

    `folder` holds tasks of one's own as YAML files. What goes wrong is a result with a reason.
    """
    harness: Harness | None = None
    for task in asked:
        todo = {k: member for k, member in members.items() if member.code not in task.known}
        if not todo:
            continue
        stamp = task.name, task.limit, harness_version()
        try:
            check([task.name], folder)
            # With all of them the harness reads fourteen thousand files; once is enough.
            harness = harness or _harness([one.name for one in asked], folder)
            for k, metrics in harness.runs(couple, dict(todo), tokeniser, task, tick):
                del todo[k]
                yield k, Result(*stamp, metrics=metrics)
        except Stopped:
            raise
        except Exception as error:  # data, code and metrics of a task fail in every way there is
            reason = _reason(error)
            yield from ((k, Result(*stamp, failed=reason)) for k in todo)


def _harness(names: Sequence[str], folder: Path | None) -> "Harness":
    from boomerang.quality.tasks.harness import Harness  # noqa: PLC0415 - lm-eval is an extra

    return Harness(names, folder)


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())[:400]
    return said if isinstance(error, BoomerangError) else f"{type(error).__name__}: {said}"
