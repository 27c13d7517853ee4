"""The command that brings a catalog to the schema of this version: migrate."""

from typing import Annotated, Any

import typer

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.migrations import schema
from boomerang.cli import options
from boomerang.cli.service.running import settings
from boomerang.cli.show import emit


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say what would be done.")] = False,
    as_json: options.Json = False,
) -> None:
    """Bring the catalog of a service up to date.

    With --check nothing is changed, and the exit status is 1 where something would be.
    """
    url = settings().database_url
    found = schema.look(url)
    schema.check(found)
    waiting = found.waiting
    if not check:
        Catalog(url).close()
    told = {"before": str(found), "needed": schema.HEAD, "steps": list(waiting), "done": not check}
    emit(told, as_json, _view)
    if check and not found.current:
        raise typer.Exit(1)


def _view(told: dict[str, Any]) -> str:
    if told["before"] == told["needed"] and not told["steps"]:
        return f"The catalog has schema {told['needed']}, as this version needs it."
    if told["before"] == "none":
        done = "was made" if told["done"] else "would be made"
        return f"There was no catalog; it {done} with schema {told['needed']}."
    done = "was brought" if told["done"] else "would be brought"
    steps = ", ".join(told["steps"])
    return f"The catalog {done} from schema {told['before']} to {told['needed']}: {steps}."
