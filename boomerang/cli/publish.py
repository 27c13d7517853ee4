"""The command publish: one size of two given models, on the Hub."""

from dataclasses import asdict
from typing import Annotated

import typer

from boomerang.cli.models import find, layers
from boomerang.cli.options import BUDGET, Json, Kept, Student, Teacher
from boomerang.cli.show import emit
from boomerang.face import publish as library


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
    models = find(teacher), find(student)
    done = library.publish(*models, size, to, order=order, public=public, kept=layers(kept))
    emit(asdict(done), as_json, lambda _: f"{done.url} at {done.commit}")
