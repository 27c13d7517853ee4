"""The command measure: every size on held-out text, and tasks of the evaluation harness."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import boomerang
from boomerang.cli.models import find, layers
from boomerang.cli.options import (
    Json,
    Kept,
    Limit,
    MeasuredOrder,
    Student,
    TaskNames,
    Teacher,
    Text,
)
from boomerang.cli.progress import Bar
from boomerang.cli.show import emit, measures_view
from boomerang.errors import BadTask
from boomerang.face.measure import Tasks
from boomerang.texts.task_names import check


def measure(
    teacher: Teacher,
    student: Student,
    text: Text,
    order: MeasuredOrder = "auto",
    kept: Kept = None,
    tasks: TaskNames = None,
    limit: Limit = None,
    member: Annotated[
        list[str] | None, typer.Option(help="Run the tasks for this size alone; may be repeated.")
    ] = None,
    tasks_folder: Annotated[
        Path | None, typer.Option(help="Folder with tasks of your own, as YAML files.")
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, help="Held-out tokens: fewer are faster, and less sure.")
    ] = 65536,
    as_json: Json = False,
) -> None:
    """Measure every size on held-out text, beside naive pruning to the same depth."""
    if tasks is None and (limit or member or tasks_folder):
        raise typer.BadParameter("--limit, --member and --tasks-folder belong to --tasks.")
    wanted = tasks_of(tasks, limit, member, tasks_folder)
    models = find(teacher), find(student)
    with Bar("measuring") as bar:
        found = boomerang.measure(
            *models, text, order=order, kept=layers(kept), tasks=wanted, tokens=tokens,
            told=lambda event: _show(bar, event),
        )  # fmt: skip
    emit({**found, "teacher": teacher, "student": student}, as_json, measures_view)


def tasks_of(
    names: str | None, limit: int | None, members: list[str] | None, folder: Path | None
) -> Tasks:
    """The tasks that are named. Raises BadTask for a name that is none."""
    if names is None:
        return Tasks()
    parts = tuple(dict.fromkeys(part for name in names.split(",") if (part := name.strip())))
    if not parts:
        raise BadTask("No task is named.", value=names, fix="Write them as arc_easy,piqa.")
    check(parts, folder)
    return Tasks(parts, limit, tuple(members or ()), folder)


def _show(bar: Bar, event: Mapping[str, Any]) -> None:
    kind = event["event"]
    if kind == "fetching":
        bar.fetched(event)
    elif kind == "choosing":
        bar.say(f"choosing the order: {event['looked']} members looked at")
    elif kind == "order":
        bar.say("measuring")
    elif kind in ("early", "member"):
        bar.count(event["tokens"], event["of"])
    elif kind == "task":
        bar.say(f"tasks: {event['name']}")
