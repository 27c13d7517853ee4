"""What a model card says of the tasks of the evaluation harness."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boomerang.card.text import number, table

HARNESS = "https://github.com/EleutherAI/lm-evaluation-harness"


@dataclass(frozen=True, slots=True)
class Task:
    """One figure of the evaluation harness, whose version is `harness`.

    `stderr` is its standard error, `shots` the examples in the prompt, `samples` the number of
    examples it is taken over; `limited` says that the task has more.
    """

    task: str
    metric: str
    value: float
    stderr: float | None = None
    filter: str = "none"
    version: str | None = None
    samples: int | None = None
    shots: int | None = None
    harness: str | None = None
    limited: bool = False

    @property
    def label(self) -> str:
        """The metric, with the filter of answers where there is one."""
        return self.metric if self.filter == "none" else f"{self.metric} ({self.filter})"


def task_result(task: Task) -> dict[str, Any]:
    """One result of the model index: where it is from, over what, and how sure it is."""
    about = {
        "version": task.version,
        "num_few_shot": task.shots,
        "examples": task.samples,
        "limited": task.limited or None,
    }
    metric: dict[str, Any] = {"type": task.metric, "value": task.value, "name": task.label}
    if task.stderr is not None:
        metric["args"] = {"stderr": task.stderr}
    dataset = {"type": task.task, "name": task.task}
    known = {key: value for key, value in about.items() if value is not None}
    return {
        "dataset": {**dataset, "args": known} if known else dataset,
        "metrics": [metric],
        "source": {"name": f"lm-evaluation-harness {task.harness or ''}".strip(), "url": HARNESS},
    }


def task_section(tasks: Sequence[Task]) -> str:
    """The section of the text: one row for each figure; empty where there is none."""
    if not tasks:
        return ""
    rows = [
        (
            task.task,
            task.label,
            number(task.value),
            number(task.stderr),
            "" if task.shots is None else str(task.shots),
            f"{task.samples or ''}{' of more' if task.limited else ''}",
        )
        for task in tasks
    ]
    head = ("task", "metric", "value", "standard error", "shots", "examples")
    return (
        f"## Tasks\n\n{table(head, rows)}\n\nMeasured with "
        f"[lm-evaluation-harness]({HARNESS}) {tasks[0].harness or ''}".rstrip()
        + "."
    )
