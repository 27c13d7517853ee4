"""Every size of a pair, measured on held-out text by a process of its own."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.architecture.bert import not_measured
from boomerang.face.fetched import folder_of
from boomerang.face.models import Named, found, open_pair
from boomerang.family.ladder import Ladder
from boomerang.family.patch_order import ORDERS, members_of, named_order
from boomerang.processes.job import Told, run_module
from boomerang.texts.datasets import SCHEME
from boomerang.texts.task_names import check


@dataclass(frozen=True)
class Tasks:
    """Tasks of the evaluation harness to run, and the sizes to run them for: all where none.

    `limit` is how many examples of each; `folder` holds tasks of one's own, as YAML files.
    """

    names: tuple[str, ...] = ()
    limit: int | None = None
    members: tuple[str, ...] = ()
    folder: Path | None = None

    def job(self) -> dict[str, Any]:
        """The fields of a measuring job. Raises BadTask for a name that is none."""
        if self.names:
            check(self.names, self.folder)
        return {
            "tasks": [{"name": name, "limit": self.limit} for name in self.names],
            "tasks_folder": str(self.folder.absolute()) if self.folder else None,
            "members": list(self.members),
        }


def measure(
    teacher: Named,
    student: Named,
    text: str | Path,
    *,
    order: str = "auto",
    kept: Sequence[int] | None = None,
    tasks: Tasks | None = None,
    tokens: int = 65536,
    told: Told | None = None,
) -> dict[str, Any]:
    """Measure every member of two given models: the order, then one record for each k.

    `text` is a folder, a file, or a dataset of the Hub as `hf://datasets/…`. Figures are of so
    many `tokens` of held-out text, where it has them. A record has `tasks` where some were asked
    for. Raises BadComposition for an order that is none, BadTask,
    UnsupportedArchitecture for masked language models, JobFailed, or as `open_pair`.
    """
    asked = (tasks or Tasks()).job()
    models = found(teacher), found(student)
    pair = open_pair(*models, kept=kept)
    if pair.teacher.architecture.masked:
        raise not_measured(models[0].name)
    in_full = None if order in ORDERS else named_order(pair.layermap, order)
    job = {
        "teacher": str(folder_of(models[0], told)),
        "student": str(folder_of(models[1], told)),
        "data": text if str(text).startswith(SCHEME) else str(Path(text).absolute()),
        "order": order if in_full is None else [*in_full],
        "kept": list(pair.layermap.kept),
        "heldout_tokens": tokens,
        **asked,
    }
    result: dict[str, Any] = {"teacher": models[0].name, "student": models[1].name, "members": []}

    def keep(event: dict[str, Any]) -> None:
        if told is not None:
            told(event)
        values = {name: value for name, value in event.items() if name != "event"}
        if event["event"] == "order":
            result.update(values)
        elif event["event"] == "member":
            result["members"].append(values)
        elif event["event"] == "task":
            result["members"][values.pop("k")].setdefault("tasks", []).append(values)

    with tempfile.TemporaryDirectory(prefix="boomerang-") as scratch:
        run_module("boomerang.quality", job, Path(scratch), keep)
    sizes = {member.k: member.size for member in Ladder.of(pair, result["patch_order"]).members}
    compositions = members_of(pair.layermap, result["patch_order"])
    for k, (member, composition) in enumerate(zip(result["members"], compositions, strict=True)):
        member |= {"size": sizes.get(k), "code": composition.code}
    return result
