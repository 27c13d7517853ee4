"""Arguments and options that several commands have, and the models and layers that they name."""

from pathlib import Path
from typing import Annotated

import typer

from boomerang.cli.progress import counted
from boomerang.family.layer_map import parse_layers
from boomerang.hub.find import Found
from boomerang.hub.find import find as find_model
from boomerang.recipes.maps import MapRule

BUDGET = "2.9B, 6GB or 6GB:float16"

Teacher = Annotated[str, typer.Argument(help="A folder, or a Hub repo id.", show_default=False)]
Student = Annotated[str, typer.Argument(help="A folder, or a Hub repo id.", show_default=False)]
Text = Annotated[Path, typer.Option(help="Folder or file of text.", show_default=False)]
Order = Annotated[
    str,
    typer.Option(help="last (from the last block to the first), first, or student layers: 5,3,1."),
]
Kept = Annotated[
    str | None,
    typer.Option(
        help="Teacher layers that the student keeps, where nothing else says them: 0,2,4,7,9,11."
    ),
]
Map = Annotated[
    MapRule | None,
    typer.Option(
        "--map",
        help="How the layers to keep are found, instead of as the recipe says: published, by the "
        "teacher's depth alone, or by measuring.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[str, typer.Option(envvar="BOOMERANG_URL", help="Address of the service.")]
Key = Annotated[
    str, typer.Option(envvar="BOOMERANG_API_KEY", help="Key of the service.", show_default=False)
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]

LOCAL = "http://127.0.0.1:8000"
MeasuredOrder = Annotated[
    str, typer.Option(help="auto, last, first, klpatch, best, or in full: 5,3,1.")
]
TaskNames = Annotated[
    str | None, typer.Option(help="Tasks of lm-eval, run for every size: arc_easy,piqa.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Examples of each task.")]


def find(name: str) -> Found:
    """The model behind a folder's path or a Hub repo id, with a bar. Raises as `find.find`."""
    with counted(f"headers of {name}") as progress:
        return find_model(name, progress=progress)


def layers(kept: str | None) -> tuple[int, ...] | None:
    """Layers written as `0,2,4`; None where none are. Raises BadRequest."""
    return None if kept is None else parse_layers(kept)
