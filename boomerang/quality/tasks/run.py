"""Tasks of the evaluation harness for members by name: nothing is built, data are read once.

A task that cannot be run is a result too: it is told with its reason, and never as a figure.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from boomerang.errors import BoomerangError
from boomerang.family.composition import Composition
from boomerang.modules.couple import Couple
from boomerang.processes.reporting import Stopped
from boomerang.quality.tasks.results import Result, TaskRequest
from boomerang.texts.task_names import check, harness_version
from boomerang.tokens.packing import Tokeniser

if TYPE_CHECKING:
    from boomerang.quality.tasks.evaluation import Harness


def run_tasks(
    couple: Couple,
    members: Mapping[int, Composition],
    tokeniser: Tokeniser,
    asked: Sequence[TaskRequest],
    folder: Path | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[tuple[int, Result]]:
    """The results of every task for every member, by the member's k.

    `folder` holds tasks of one's own as YAML files. What goes wrong is a result with a reason.
    """
    harness: Harness | None = None
    for task in asked:
        todo = {k: member for k, member in members.items() if member.code not in task.known}
        if not todo:
            continue
        try:
            check([task.name], folder)
            # With all of them the harness reads fourteen thousand files; once is enough.
            harness = harness or _harness([one.name for one in asked], folder)
            for k, metrics in harness.runs(couple, dict(todo), tokeniser, task, tick):
                del todo[k]
                yield k, Result(*_stamp(task), metrics=metrics)
        except Stopped:
            raise
        except Exception as error:  # data, code and metrics of a task fail in every way there is
            reason = _reason(error)
            yield from ((k, Result(*_stamp(task), failed=reason)) for k in todo)


def _harness(names: Sequence[str], folder: Path | None) -> "Harness":
    from boomerang.quality.tasks.evaluation import Harness  # noqa: PLC0415 - lm-eval is an extra

    return Harness(names, folder)


def _stamp(task: TaskRequest) -> tuple[str, int | None, str | None]:
    return task.name, task.limit, harness_version()


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())[:400]
    return said if isinstance(error, BoomerangError) else f"{type(error).__name__}: {said}"
