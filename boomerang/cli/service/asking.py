"""Commands that ask a running service: request, rebuild."""

from typing import Annotated, Any

import typer

from boomerang.cli.options import (
    BUDGET,
    LOCAL,
    Json,
    Kept,
    Key,
    Limit,
    MeasuredOrder,
    TaskNames,
    Teacher,
    Url,
    Wait,
)
from boomerang.cli.service.client import Service
from boomerang.cli.service.waiting import rebuild_all, wait_made
from boomerang.cli.show import emit, family_view, rebuilt_view
from boomerang.family.layer_map import parse_layers


def request(
    teacher: Teacher,
    budget: Annotated[str, typer.Argument(help=f"{BUDGET}, or a size's name.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Text, by the service's name; may be repeated.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe.")] = None,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    order: MeasuredOrder = "auto",
    publish: Annotated[str | None, typer.Option(help="Hub namespace to push it to.")] = None,
    kept: Kept = None,
    tasks: TaskNames = None,
    limit: Limit = None,
    wait: Wait = False,
    url: Url = LOCAL,
    api_key: Key = "",
    as_json: Json = False,
) -> None:
    """Ask a running service for a size."""
    texts = data[0] if data and len(data) == 1 else data or None
    asked = {"teacher": teacher, "budget": budget, "data": texts, "recipe": recipe,
             "student": student, "order": order, "task_limit": limit}  # fmt: skip
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if kept is not None:
        body["kept"] = list(parse_layers(kept))
    if tasks is not None:
        body["tasks"] = [name.strip() for name in tasks.split(",")]
    if publish is not None:
        body["publish"] = {"namespace": publish}
    with Service(url, api_key) as service:
        family = service.post("/families", body)
        if wait:
            planned = {key: family[key] for key in ("budget", "cost") if key in family}
            family = planned | wait_made(service, family["id"])
        emit(family, as_json, family_view)


def rebuild(
    family: Annotated[str | None, typer.Argument(help="Id of a family.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every family.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Distil again, beside the old.")] = False,
    wait: Wait = False,
    url: Url = LOCAL,
    api_key: Key = "",
    as_json: Json = False,
) -> None:
    """Verify families and make what is missing. The exit status says whether it worked."""
    if (family is None) is not every:
        raise typer.BadParameter("Give either a family or --all.")
    with Service(url, api_key) as service:
        done = rebuild_all(service, family, force=force, wait=wait)
    emit(done, as_json, rebuilt_view)
    if any(one["error"] for one in done["families"]):
        raise typer.Exit(1)
