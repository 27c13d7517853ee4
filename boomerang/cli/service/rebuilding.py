"""The command that has a service look at what it made, and mend it: rebuild."""

import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import typer

from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.service.asking import NotMade, show_progress, wait_made
from boomerang.cli.service.client import POLL_SECONDS, Refused, Service
from boomerang.cli.show import emit, rebuilt_view
from boomerang.errors import BoomerangError


def rebuild(
    family: Annotated[str | None, typer.Argument(help="Id of a family.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every family.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Distil again, beside the old.")] = False,
    wait: options.Wait = False,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Look at all that is there of families, and mend it.

    With --wait the report is printed; the exit status is 0 only if everything is whole.
    """
    if (family is None) is not every:
        raise typer.BadParameter("Give either a family or --all.")
    with Service(url, api_key) as service:
        done = rebuild_all(service, family, force=force, wait=wait)
    emit(done, as_json, rebuilt_view)
    if any(one["error"] for one in done["families"]):
        raise typer.Exit(1)


def rebuild_all(service: Service, family: str | None, *, force: bool, wait: bool) -> dict[str, Any]:
    """Rebuild one family, or all of them; one that fails does not keep the others from it.

    Returns `families`, each with its `id`, the `state` of its rebuild, an `error` or None, and its
    `report` where it was waited for.
    """
    asked = _each(service, family, force) if family is not None or force else _every(service)
    return {"families": [_rebuilt(service, id_, number, wait) for id_, number in asked]}


Number = int | None | Refused
"""Of a rebuild; None where the family is made for the first time."""


def _every(service: Service) -> list[tuple[str, Number]]:
    """Ask for all at once: then each student is looked at once."""
    answer = service.post("/rebuilds", {})
    asked: list[tuple[str, Number]] = [(one["family"], one["id"]) for one in answer["rebuilds"]]
    return asked + [(id_, None) for id_ in answer["waiting"]]


def _each(service: Service, family: str | None, force: bool) -> list[tuple[str, Number]]:
    every = () if family is not None else service.get("/families")["families"]
    # Families of others have no owners that this key is told of, and are none of its business.
    mine = [str(one["id"]) for one in every if one.get("owners", ()) is not None]
    ids = [family] if family is not None else mine
    return [_asked(service, id_, force) for id_ in ids]


def _asked(service: Service, id_: str, force: bool) -> tuple[str, Number]:
    try:
        answer = service.post(f"{_address(id_)}/rebuild", {"force": force})
    except Refused as error:
        return id_, error
    return str(answer["id"]), answer.get("rebuild")


def _rebuilt(service: Service, id_: str, number: Number, wait: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": id_, "state": None, "error": None, "report": None}
    try:
        if isinstance(number, BoomerangError):
            raise number
        if not wait:
            return shown | {"state": "no"}
        if number is None:
            # There is nothing to look at before it is made for the first time.
            return shown | {"id": wait_made(service, id_)["id"], "state": "yes"}
        done = wait_rebuilt(service, id_, number)
    except (Refused, NotMade) as error:
        return shown | {"error": str(error)}
    failed = None if done["state"] == "yes" else done["reason"] or "It failed."
    return shown | {"state": done["state"], "error": failed, "report": done["report"]}


def wait_rebuilt(service: Service, id_: str, number: int) -> Mapping[str, Any]:
    """Wait until a rebuild is over, across restarts of the service; return it. Raises Refused."""
    with Bar(f"rebuilding {id_}") as bar:
        while True:
            found = service.steady(f"{_address(id_)}/rebuilds/{number}")
            if found["state"] in ("yes", "failed"):
                return found
            show_progress(bar, service.family(id_))
            time.sleep(POLL_SECONDS)


def _address(id_: str) -> str:
    return f"/families/{quote(id_, safe='')}"
