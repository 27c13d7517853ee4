"""A student, distilled from its teacher or carried over to a fine-tune of it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import not_distilled
from boomerang.checkpoint.files import RECORD
from boomerang.errors import BadRecipe
from boomerang.face.fetched import folder_of
from boomerang.face.models import Named, found
from boomerang.hub.find import Found
from boomerang.processes.job import Told, run_module
from boomerang.recipes.keys import delta_key, student_key
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts


def distil(
    teacher: Named,
    out: str | Path,
    text: str | Path,
    *,
    recipe: str | Path = "default",
    steps: int | None = None,
    minutes: float | None = None,
    layer_map: str = "published",
    kept: Sequence[int] | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """Distil a student into the folder `out` and return its record.

    `text` is a folder, a file, a dataset of the Hub as `hf://datasets/…`, or a JSON list of these.
    The student keeps the layers `kept`, or those that `layer_map` says: the recipe's (`published`),
    or by the `similarity` of hidden states. A process of its own trains it; what that did is kept
    beside `out` until the student is whole, so that the same call goes on after an interruption.

    Raises BadRecipe, UnsupportedArchitecture, JobFailed, TrainingFailed, or as `find`.
    """
    chosen = Recipe.load(recipe)
    if steps is not None or minutes is not None:
        chosen = chosen.override(steps=steps, minutes=minutes, name="custom")
    texts = Texts.open(text)
    chosen.refuse_without(texts.lacks, texts.name)
    if kept is not None:
        chosen = chosen.override(kept=tuple(kept), name="custom")
    model = found(teacher)
    anatomy = dissect(model.checkpoint)
    if anatomy.architecture.masked:
        raise not_distilled(model.name)
    if layer_map == "similarity":
        from boomerang.quality.choosing.similarity import similarity_map  # noqa: PLC0415 - torch

        chosen = chosen.override(
            kept=similarity_map(folder_of(model, told), texts, chosen).kept, name="custom"
        )
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
    return _train(model, Path(out), job, told)


def transfer(
    teacher: Named,
    base: Named,
    base_student: Named,
    out: str | Path,
    *,
    reference: Named | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
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
    return _train(ours, Path(out), job, told)


def _train(teacher: Found, out: Path, job: Mapping[str, Any], told: Told | None) -> dict[str, Any]:
    """Have the trainer make a student of `teacher` in `out`, and return its record."""
    out, run = out.absolute(), out.absolute().with_name(f".{out.name}.run")
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
