"""The command distill: a student trained on text, or made from the student of its base."""

import json
import shutil
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import not_distilled
from boomerang.cli.jobs import events, folder_of
from boomerang.cli.local import find, layers_of
from boomerang.cli.options import Json, Teacher
from boomerang.cli.progress import Bar, duration
from boomerang.cli.show import emit, transfer_view
from boomerang.errors import BadRecipe
from boomerang.hub.find import Found
from boomerang.recipes.keys import delta_key, student_key
from boomerang.recipes.recipe import Recipe
from boomerang.texts.datasets import SCHEME
from boomerang.texts.texts import Texts


class LayerMaps(StrEnum):
    """Which layers of the teacher a student keeps."""

    PUBLISHED = "published"
    SIMILARITY = "similarity"


def distill(
    teacher: Teacher,
    out: Annotated[Path, typer.Option(help="Folder of the student.", show_default=False)],
    text: Annotated[
        list[Path] | None, typer.Option(help="Folder or file of text; may be given repeatedly.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Text of the Hub, as well: ID[@REVISION][#COLUMN].")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Instead of training: what TEACHER was fine-tuned from.")
    ] = None,
    base_student: Annotated[str | None, typer.Option(help="The student of --base.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="With --base: a distilled student, to compare with.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a TOML file.")] = "default",
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    map_: Annotated[
        LayerMaps, typer.Option("--map", help="Layers kept: the recipe's, or by hidden states.")
    ] = LayerMaps.PUBLISHED,
    kept: Annotated[str | None, typer.Option(help="Layers kept, one by one: 0,1,3,5.")] = None,
    as_json: Json = False,
) -> None:
    """Distil a student. The same command goes on where it was interrupted."""
    if steps is not None and minutes is not None:
        raise typer.BadParameter("Give --steps or --minutes, not both.")
    if kept is not None and map_ != LayerMaps.PUBLISHED:
        raise typer.BadParameter("Give --kept or --map, not both.")
    if (base is None) != (base_student is None):
        raise typer.BadParameter("--base and --base-student belong together.")
    if base is not None and base_student is not None:
        made = transferred(teacher, base, base_student, out, reference)
        emit(made, as_json, transfer_view)
        return

    def show(record: dict[str, Any]) -> str:
        final = ", ".join(f"{name} {value:.4g}" for name, value in record["final"].items())
        took = duration(record["seconds"])
        return f"{record['out']}: {record['steps']} steps in {took}; held out: {final}"

    where = text_of(text or [], dataset or [])
    emit(trained(teacher, out, where, recipe, steps, minutes, map_, kept), as_json, show)


def trained(
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
        from boomerang.quality.similarity import similarity_map  # noqa: PLC0415 - loads torch

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


def transferred(
    teacher: str, base: str, base_student: str, out: Path, reference: str | None
) -> dict[str, Any]:
    """Make a fine-tune's student from the student of its base, and return its record.

    Raises StudentMismatch, JobFailed, or as `find`.
    """
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
    shutil.rmtree(run, ignore_errors=True)
    record: dict[str, Any] = json.loads((out / "boomerang.json").read_text("utf-8"))
    return {"out": str(out), **record}


def text_of(texts: Sequence[Path], datasets: Sequence[str]) -> str:
    """Where text lies: folders or files, and datasets of the Hub as ID[@REVISION][#COLUMN].

    Raises BadRecipe where there is neither.
    """
    found = [str(text.absolute()) for text in texts]
    found += [one if one.startswith(SCHEME) else SCHEME + one for one in datasets]
    if not found:
        raise BadRecipe(
            "Give the text to distil on: --text or --dataset, or several of them.",
            fix="A folder, a file, or a dataset such as owner/name.",
        )
    return found[0] if len(found) == 1 else json.dumps(found)
