"""Distilling and measuring from the command line: one process each, its events on a bar."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.architecture.bert import not_distilled, not_measured
from boomerang.cli.local import find, layers_of, pair_of
from boomerang.cli.show import Bar
from boomerang.errors import BadComposition, BadRecipe, BadTask, BoomerangError, TrainingFailed
from boomerang.family.ladder import Ladder
from boomerang.family.patch_order import members_of, parse_order
from boomerang.hub import fetch
from boomerang.hub.find import Found
from boomerang.processes.threads import environment
from boomerang.texts.task_names import check

ORDERS = ("auto", "last", "first", "klpatch", "best")


class JobFailed(BoomerangError):
    """The trainer or the measurer stopped with an error of its own."""

    slug, title = "job-failed", "The process failed"


def distill(
    teacher: str,
    out: Path,
    text: str,
    recipe_name: str,
    steps: int | None,
    minutes: float | None,
    map_: str = "published",
    kept: str | None = None,
) -> dict[str, Any]:
    """Distil a student into the folder `out` and return its record.

    It keeps the layers `kept`, or those that `map_` says: the recipe's, or by `similarity`.

    What was trained is kept beside `out` until the student is whole, so that the same command
    goes on after an interruption. Raises BadRecipe, TrainingFailed, or as `find`.
    """
    from boomerang.architecture.anatomy import dissect
    from boomerang.recipes.keys import student_key
    from boomerang.recipes.recipe import Recipe
    from boomerang.texts.texts import Texts

    recipe = Recipe.load(recipe_name)
    if steps is not None or minutes is not None:
        recipe = recipe.override(steps=steps, minutes=minutes, name="custom")
    texts = Texts.open(text)
    recipe.refuse_without(texts.lacks, texts.name)
    if kept is not None:
        recipe = recipe.override(kept=layers_of(kept), name="custom")
    model = find(teacher)
    anatomy = dissect(model.checkpoint)
    if anatomy.architecture.masked:
        raise not_distilled(teacher)
    if map_ == "similarity":
        from boomerang.quality.similarity import similarity_map

        found = similarity_map(folder_of(model), texts, recipe)
        recipe = recipe.override(kept=found.kept, name="custom")
    layermap = recipe.layermap(anatomy.kinds)
    if not layermap.long:
        raise BadRecipe(
            f"A student of {layermap.layers} layers would be as deep as {teacher!r}.",
            value=layermap.layers,
            fix="Use a recipe that keeps fewer layers.",
        )
    job = {
        "recipe": recipe.model_dump(mode="json"),
        "data": texts.location,
        "kept": list(layermap.kept),
        "key": student_key(model.commit(), layermap, recipe, texts.digest),
    }
    return _train("distilling", model, out, job)


def transfer(
    teacher: str, base: str, base_student: str, out: Path, reference: str | None
) -> dict[str, Any]:
    """Make a fine-tune's student from the student of its base, and return its record.

    Raises StudentMismatch, JobFailed, or as `find`.
    """
    from boomerang.recipes.keys import delta_key

    ours, theirs, student = find(teacher), find(base), find(base_student)
    made = student.checkpoint.json("boomerang.json") or {}
    key = str(made.get("key") or student.commit())
    job = {
        "key": delta_key(key, theirs.commit(), ours.commit()),
        "delta": {
            "base": str(folder_of(theirs)),
            "base_name": theirs.public_name,
            "base_commit": theirs.commit(),
            "student": str(folder_of(student)),
            "student_key": key,
            "reference": str(folder_of(find(reference))) if reference else None,
        },
    }
    return _train("transferring", ours, out, job)


def _train(what: str, teacher: Found, out: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Have the trainer make a student of `teacher` in `out`, and return its record."""
    out, run = out.absolute(), out.absolute().with_name(f".{out.name}.run")
    run.mkdir(parents=True, exist_ok=True)
    known = {
        "teacher": str(folder_of(teacher)),
        "teacher_name": teacher.public_name,
        "teacher_commit": teacher.commit(),
        "out": str(out),
        "run": str(run),
    }
    with Bar(what) as bar:
        for event in events("boomerang.distill", {**known, **job}, run):
            if event["event"] in ("start", "step"):
                bar.steps(event)
    _remove(run)
    record: dict[str, Any] = json.loads((out / "boomerang.json").read_text("utf-8"))
    return {"out": str(out), **record}


def text_of(texts: Sequence[Path], datasets: Sequence[str]) -> str:
    """Where text lies: folders or files, and datasets of the Hub as ID[@REVISION][#COLUMN].

    Raises BadRecipe where there is neither.
    """
    from boomerang.texts.datasets import SCHEME

    found = [str(text.absolute()) for text in texts]
    found += [one if one.startswith(SCHEME) else SCHEME + one for one in datasets]
    if not found:
        raise BadRecipe(
            "Give the text to distil on: --text or --dataset, or several of them.",
            fix="A folder, a file, or a dataset such as owner/name.",
        )
    return found[0] if len(found) == 1 else json.dumps(found)


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


def measure(
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


def folder_of(model: Found) -> Path:
    """The model's folder; one of the Hub is fetched once, to the service's own place for it."""
    if model.folder is not None:
        return model.folder
    if model.resolved is None:
        raise JobFailed(f"{model.name!r} has neither folder nor commit.", value=model.name)
    from boomerang.service.settings import get_settings

    folder = get_settings().teacher_folder(model.resolved.commit)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Bar(f"fetching {model.name}", size=True) as bar:
        return fetch.fetch(model.name, model.resolved.commit, folder, progress=bar.count)


def events(module: str, job: Mapping[str, Any], run: Path) -> Iterator[dict[str, Any]]:
    """Run a module on a job file and yield its events; the process is stopped with this one.

    Raises JobFailed with what the process said went wrong.
    """
    path, log = run / "job.json", run / "process.log"
    path.write_text(json.dumps(job), "utf-8")
    with _started([sys.executable, "-m", module, str(path)], log) as process:
        for line in process.stdout or ():
            event = _parse(line)
            if event is None:
                continue
            if event["event"] == "error":
                fix = str(event.get("fix") or "")
                raise JobFailed(str(event["detail"]), value=event.get("value"), fix=fix)
            yield event
        if process.wait() != 0:
            raise TrainingFailed(
                f"The process ended with status {process.returncode}: {_last_line(log)}",
                value=process.returncode,
                fix="Run the same command again to go on from its last checkpoint.",
            )


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    # In a session of its own: ^C reaches this process alone, which then tells it to stop.
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True,
            env=environment(),
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _parse(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing."


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


def _remove(run: Path) -> None:
    import shutil

    shutil.rmtree(run, ignore_errors=True)
