"""The command measure: every size on held-out text, and tasks of the evaluation harness."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from boomerang.architecture.bert import not_measured
from boomerang.cli.jobs import events, folder_of
from boomerang.cli.local import find, pair_of
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
from boomerang.errors import BadComposition, BadTask
from boomerang.family.ladder import Ladder
from boomerang.family.patch_order import members_of, parse_order
from boomerang.texts.task_names import check

ORDERS = ("auto", "last", "first", "klpatch", "best")


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
    wanted = Tasks.of(tasks, limit, member, tasks_folder)
    found = measured(teacher, student, text, order, kept, wanted, tokens)
    emit(found, as_json, measures_view)


@dataclass(frozen=True)
class Tasks:
    """Tasks of the evaluation harness to run, and the sizes to run them for: all where none."""

    names: tuple[str, ...] = ()
    limit: int | None = None
    members: tuple[str, ...] = ()
    folder: Path | None = None

    @classmethod
    def of(
        cls, names: str | None, limit: int | None, members: list[str] | None, folder: Path | None
    ) -> "Tasks":
        """From the command line. Raises BadTask for a name that is none."""
        if names is None:
            return cls()
        parts = tuple(dict.fromkeys(part for name in names.split(",") if (part := name.strip())))
        if not parts:
            raise BadTask("No task is named.", value=names, fix="Write them as arc_easy,piqa.")
        check(parts, folder)
        return cls(parts, limit, tuple(members or ()), folder)

    def job(self) -> dict[str, Any]:
        """The fields of a measuring job."""
        return {
            "tasks": [{"name": name, "limit": self.limit} for name in self.names],
            "tasks_folder": str(self.folder.absolute()) if self.folder else None,
            "members": list(self.members),
        }


def measured(
    teacher: str,
    student: str,
    text: Path,
    order: str,
    kept: str | None = None,
    tasks: Tasks | None = None,
    tokens: int = 65536,
) -> dict[str, Any]:
    """Measure every member of two given models: the order, then one record for each k.

    Figures are of so many `tokens` of held-out text, where it has them. A record has `tasks` where
    some were asked for. Raises BadComposition for an order that is none, UnsupportedArchitecture
    for masked language models, JobFailed, or as `find` and `pair_of`.
    """
    tasks = tasks or Tasks()
    models = [find(teacher), find(student)]
    pair = pair_of(models[0], models[1], kept=kept)
    if pair.teacher.architecture.masked:
        raise not_measured(teacher)
    job = {
        "teacher": str(folder_of(models[0])),
        "student": str(folder_of(models[1])),
        "data": str(text.absolute()),
        "order": _order(order),
        "kept": list(pair.layermap.kept),
        "heldout_tokens": tokens,
        **tasks.job(),
    }
    found: dict[str, Any] = {"teacher": teacher, "student": student, "members": []}
    with tempfile.TemporaryDirectory(prefix="boomerang-") as scratch, Bar("measuring") as bar:
        for event in events("boomerang.quality", job, Path(scratch)):
            kind = event.pop("event")
            if kind == "choosing":
                bar.say(f"choosing the order: {event['looked']} members looked at")
            elif kind == "order":
                found |= event
                bar.say("measuring")
            elif kind in ("early", "member"):
                bar.count(event["tokens"], event["of"])
                found["members"] += [event] if kind == "member" else []
            elif kind == "task":
                bar.say(f"tasks: {event['name']}")
                found["members"][event.pop("k")].setdefault("tasks", []).append(event)
    sizes = {member.k: member.name for member in Ladder.of(pair, found["patch_order"]).members}
    compositions = members_of(pair.layermap, found["patch_order"])
    for k, (member, composition) in enumerate(zip(found["members"], compositions, strict=True)):
        member |= {"size": sizes.get(k), "code": composition.code}
    return found


def _order(order: str) -> str | list[int] | list[str]:
    if order in ORDERS:
        return order
    found = parse_order(order)
    if found is None:
        raise BadComposition(
            f"{order!r} is no patch order.",
            value=order,
            fix=f"Use {', '.join(ORDERS)}, or the student layers that have a block to put back, "
            "in that order: 5,3,1.",
        )
    return [*found]
