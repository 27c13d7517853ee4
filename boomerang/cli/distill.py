"""The command distill: a student trained on text, or made from the student of its base."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

import boomerang
from boomerang.cli.models import find, layers
from boomerang.cli.options import Json, Teacher
from boomerang.cli.progress import Bar
from boomerang.cli.show import distilled_view, emit, transfer_view
from boomerang.errors import BadRecipe
from boomerang.face.distil import transfer
from boomerang.texts.datasets import SCHEME


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
        emit(_transferred(teacher, base, base_student, out, reference), as_json, transfer_view)
        return
    where, model = text_of(text or [], dataset or []), find(teacher)
    with Bar("distilling") as bar:
        record = boomerang.distil(
            model, out, where, recipe=recipe, steps=steps, minutes=minutes,
            layer_map=map_, kept=layers(kept), told=lambda event: _show(bar, "distilling", event),
        )  # fmt: skip
    emit(record, as_json, distilled_view)


def _transferred(
    teacher: str, base: str, base_student: str, out: Path, reference: str | None
) -> dict[str, Any]:
    models = find(teacher), find(base), find(base_student)
    own = find(reference) if reference else None
    with Bar("transferring") as bar:
        return transfer(
            *models, out, reference=own, told=lambda event: _show(bar, "transferring", event)
        )


def _show(bar: Bar, title: str, event: Mapping[str, Any]) -> None:
    if event["event"] in ("start", "step"):
        bar.say(title)
        bar.steps(event)
    elif event["event"] == "fetching":
        bar.fetched(event)


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
