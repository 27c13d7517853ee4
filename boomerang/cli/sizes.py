"""Commands on the sizes of two given models, from headers alone: plan, assemble, publish."""

from pathlib import Path
from typing import Annotated

import typer

from boomerang.cli import local
from boomerang.cli.options import BUDGET, Json, Kept, Order, Student, Teacher
from boomerang.cli.show import emit, plan_view


def plan(
    teacher: Teacher,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    budget: Annotated[str | None, typer.Option(help=f"{BUDGET}, or a size's name.")] = None,
    order: Order = "last",
    recipe: Annotated[str | None, typer.Option(help="Recipe whose student is planned.")] = None,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Show the ladder of sizes, from headers alone."""
    emit(local.plan(teacher, student, budget, order, recipe, kept), as_json, plan_view)


def assemble(
    teacher: Teacher,
    student: Student,
    order: Annotated[str, typer.Option(help="last, first, or 5,3,1.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the model.", show_default=False)],
    size: Annotated[str | None, typer.Option(help=f"A size's name, {BUDGET}.")] = None,
    patch: Annotated[int | None, typer.Option(help="Number of patched blocks.")] = None,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Write one size to a folder."""
    if (size is None) == (patch is None):
        raise typer.BadParameter("Give either --size or --patch.")
    emit(
        local.assemble(teacher, student, order, size, patch, out, kept),
        as_json,
        lambda made: f"{made['out']}: {made['parameters']:,} parameters, {made['layers']} layers",
    )


def publish(
    teacher: Teacher,
    student: Student,
    size: Annotated[str, typer.Option(help=f"A size's name, {BUDGET}.", show_default=False)],
    order: Annotated[str, typer.Option(help="last, first, or 5,3,1.", show_default=False)],
    to: Annotated[str, typer.Option(help="NAMESPACE/NAME on the Hub.", show_default=False)],
    public: Annotated[bool, typer.Option("--public", help="Not private.")] = False,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Push one size to the Hub, private unless told otherwise."""
    done = local.publish(teacher, student, order, size, to, public, kept)
    emit(done, as_json, lambda made: f"{made['url']} at {made['commit']}")
