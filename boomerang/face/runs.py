"""What a process of its own does: a student distilled or carried over, a family measured."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import not_distilled, not_measured
from boomerang.checkpoint.files import RECORD
from boomerang.errors import BadRecipe
from boomerang.face.plan import Named, found, open_pair
from boomerang.family.ladder import Ladder
from boomerang.family.order_forms import ORDERS, members_of, named_order
from boomerang.hub import fetch
from boomerang.hub.find import Found
from boomerang.processes.json_lines import Told, run_module
from boomerang.recipes.recipe import Recipe, delta_key, student_key
from boomerang.service.settings import get_settings
from boomerang.texts.datasets import SCHEME
from boomerang.texts.task_names import check
from boomerang.texts.texts import Texts


def folder_of(model: Found, told: Told | None = None) -> Path:
    """The model's folder; one of the Hub is fetched once, to the service's own place for it.

    `told` is given an event `fetching` whenever more has come, in bytes. Raises as `fetch`.
    """
    if model.folder is not None:
        return model.folder

    def progress(done: int, of: int) -> None:
        if told is not None:
            told({"event": "fetching", "name": model.name, "done": done, "of": of})

    commit = model.commit()
    folder = get_settings().teacher_folder(commit)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return fetch.fetch(model.name, commit, folder, progress=progress)


def distil(
    teacher: Named, out: str | Path, text: str | Path, *, recipe: str | Path = "default",
    steps: int | None = None, minutes: float | None = None, layer_map: str | None = None,
    kept: Sequence[int] | None = None, told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Distil a student into the folder `out` and return its record.

    `text` is a folder, a file, a dataset of the Hub as `hf://datasets/…`, or a JSON list of these.
    The student keeps the layers `kept`, or those that the rule `layer_map` finds, the recipe's own
    where none is named: `published`, or one that measures, as `divergence` or `similarity`. `map`
    of the record is that rule, or None, and `map_reason` says why the layers are not those that it
    finds. Processes of their own measure and train; what they did is kept beside `out` until the
    student is whole, so that the same call goes on after an interruption.

    Raises BadRecipe, UnsupportedArchitecture, JobFailed, TrainingFailed, or as `find`.
    """
    chosen = Recipe.load(recipe)
    if steps is not None or minutes is not None:
        chosen = chosen.override(steps=steps, minutes=minutes, name="custom")
    texts = Texts.open(text)
    chosen.refuse_without(texts.lacks, texts.name)
    if kept is not None:
        chosen = chosen.override(kept=tuple(kept), name="custom")
    elif layer_map is not None and (layer_map != chosen.map or chosen.kept is not None):
        chosen = chosen.override(map=layer_map, name="custom")
    model = found(teacher)
    anatomy = dissect(model.checkpoint)
    if anatomy.architecture.masked:
        raise not_distilled(model.name)
    layermap = chosen.layermap(anatomy.kinds)
    if not layermap.long:
        raise BadRecipe(
            f"A student of {layermap.layers} layers would be as deep as {model.name!r}.",
            value=layermap.layers,
            fix="Use a recipe that keeps fewer layers.",
        )
    job = {
        "recipe": chosen.model_dump(mode="json"),
        "data": texts.location,
        "kept": list(layermap.kept),
        "key": student_key(model.commit(), layermap, chosen, texts.digest),
    }
    rule: str | None = chosen.map if chosen.kept is None else None
    reason: str | None = None
    if chosen.measures:
        job["kept"], reason = _measured(model, Path(out), job, chosen.map, told)
    return {**train(model, Path(out), job, told), "map": rule, "map_reason": reason}


LAYERS = "layers.json"
"""The file of a run that says which layers were measured for it."""


def _measured(
    teacher: Found, out: Path, job: Mapping[str, Any], rule: str, told: Told | None
) -> tuple[list[int], str | None]:
    """The layers that a rule finds, and why it found none; measured once for a run.

    Raises JobFailed, TrainingFailed.
    """
    run, record = _run_folder(out), out / RECORD
    for file in (run / LAYERS, record):
        known = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        if known.get("key") == job["key"]:
            return list(known["kept"]), known.get("reason")
    found: dict[str, Any] = {}

    def keep(event: dict[str, Any]) -> None:
        if event["event"] == "map":
            found.update(event)
        if told is not None and event["event"] in ("mapping", "map"):
            told(event)

    asked = {"data": job["data"], "recipe": job["recipe"], "rule": rule}
    folder = str(folder_of(teacher, told))
    run_module("boomerang.quality", {"teacher": folder, **asked}, run / "map", keep)
    part = run / f".{LAYERS}"
    said = {"key": job["key"], "kept": found["kept"], "reason": found["reason"]}
    part.write_text(json.dumps(said), "utf-8")
    part.replace(run / LAYERS)
    return said["kept"], said["reason"]


def _run_folder(out: Path) -> Path:
    out = out.absolute()
    return out.with_name(f".{out.name}.run")


def transfer(
    teacher: Named, base: Named, base_student: Named, out: str | Path, *,
    reference: Named | None = None, told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Make a fine-tune's student from the student of its base, and return its record.

    `reference` is a student that was distilled from the fine-tune itself, to compare with. Raises
    StudentMismatch, JobFailed, TrainingFailed, or as `find`.
    """
    ours, theirs, student = found(teacher), found(base), found(base_student)
    made = student.checkpoint.json(RECORD) or {}
    key = str(made.get("key") or student.commit())
    job = {
        "key": delta_key(key, theirs.commit(), ours.commit()),
        "delta": {
            "base": str(folder_of(theirs, told)),
            "base_name": theirs.public_name,
            "base_commit": theirs.commit(),
            "student": str(folder_of(student, told)),
            "student_key": key,
            "reference": str(folder_of(found(reference), told)) if reference else None,
        },
    }
    return train(ours, Path(out), job, told)


def train(teacher: Found, out: Path, job: Mapping[str, Any], told: Told | None) -> dict[str, Any]:
    """Run the trainer's process for a student of `teacher`; the record of what lies in `out` then.

    `job` says what is made, and by which key. Raises JobFailed, TrainingFailed, or as `fetch`.
    """
    out, run = out.absolute(), _run_folder(out)
    run.mkdir(parents=True, exist_ok=True)
    known = {
        "teacher": str(folder_of(teacher, told)),
        "teacher_name": teacher.public_name,
        "teacher_commit": teacher.commit(),
        "out": str(out),
        "run": str(run),
    }
    run_module("boomerang.distill", {**known, **job}, run, told or (lambda event: None))
    shutil.rmtree(run, ignore_errors=True)
    record: dict[str, Any] = json.loads((out / RECORD).read_text("utf-8"))
    return {"out": str(out), **record}


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
    teacher: Named, student: Named, text: str | Path, *, order: str = "auto",
    kept: Sequence[int] | None = None, tasks: Tasks | None = None, tokens: int = 65536,
    told: Told | None = None,
) -> dict[str, Any]:  # fmt: skip
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
