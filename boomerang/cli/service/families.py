"""Commands about the families that a running service has: families, show, cancel, delete."""

import re
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from rich.console import Group

from boomerang.catalog.records.listing import SHOWN_STATES
from boomerang.cli import options
from boomerang.cli.progress import duration
from boomerang.cli.service.client import Service
from boomerang.cli.show import emit, family_view, table
from boomerang.errors import BadRequest

PAGE = 100
"""Families that are asked for at a time, the most that the service gives."""

_ID = re.compile(r"[0-9a-f]{12,16}")

FamilyName = Annotated[
    str, typer.Argument(metavar="FAMILY", help="Id or name of a family.", show_default=False)
]


def families(
    state: Annotated[
        str | None, typer.Option(help=f"Only those that are {', '.join(SHOWN_STATES)}.")
    ] = None,
    q: Annotated[
        str | None, typer.Option("--q", help="Stands in the name or the teacher; begins the id.")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only those that the key owns.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = PAGE,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """List the families of a running service."""
    with Service(url, api_key) as service:
        found = listed(service, limit, q=q, state=state, mine="true" if mine else None)
    emit(found, as_json, families_view)


def show(
    family: FamilyName,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Show a family of a running service: how far it is, and its sizes."""
    with Service(url, api_key) as service:
        found = service.get(address(named(service, family)))
    emit(found, as_json, family_view)


def cancel(
    family: FamilyName,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Stop what a running service makes of a family; what was made stays."""
    with Service(url, api_key) as service:
        found = service.post(f"{address(named(service, family))}/cancel", {})
    emit(found, as_json, _state_line)


def delete(
    family: FamilyName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Have a running service forget a family and what was built of it."""
    with Service(url, api_key) as service:
        id_ = named(service, family)
        costs = service.get(f"{address(id_)}/delete")
        if not yes:
            _ask(costs)
        left = service.delete(address(costs["family"]))
    done = {"family": costs["family"], "name": costs["name"], **costs_of(costs)}
    emit(done | {"repositories": left.get("repositories", [])}, as_json, _deleted_view)


def listed(service: Service, limit: int, **asked: str | None) -> dict[str, Any]:
    """Families as `GET /families` shows them, at most `limit`, with `counts` and whether `more`.

    Raises Refused or Unreachable.
    """
    wanted = {name: value for name, value in asked.items() if value is not None}
    path: str | None = f"/families?{urlencode({**wanted, 'limit': min(limit, PAGE)})}"
    found: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    while path is not None and len(found) < limit:
        page = service.get(path)
        found += page["families"]
        counts, path = page.get("counts") or {}, page.get("next")
    more = path is not None or len(found) > limit
    return {"families": found[:limit], "counts": counts, "more": more}


def named(service: Service, family: str) -> str:
    """The id that a name stands for; an id is taken as it is. Raises BadRequest for neither."""
    if _ID.fullmatch(family):
        return family
    found = listed(service, PAGE, q=family)["families"]
    ids = [str(one["id"]) for one in found if one["name"] == family or one["id"] == family]
    if len(ids) == 1:
        return ids[0]
    raise BadRequest(
        f"{len(ids) or 'No'} families are called {family!r}.",
        value=family,
        fix=f"Name one by its id: {', '.join(ids)}." if ids else "`boomerang families` lists them.",
    )


def address(id_: str) -> str:
    """Where a family is."""
    return f"/families/{quote(id_, safe='')}"


def families_view(found: Mapping[str, Any]) -> Group | str:
    """A row for each family, and how many there are of each state."""
    if not found["families"]:
        return "There is no such family."
    columns = ("id", "name", "state", "sizes", "built", "published", "asked for")
    rows = [_row(one) for one in found["families"]]
    counts = [f"{count} {state}" for state, count in found["counts"].items() if count]
    lines = [f"In all: {', '.join(counts)}."] if counts else []
    if found["more"]:
        lines.append(f"There are more: --limit {2 * len(rows)}.")
    return Group(table(columns, rows), *lines)


def _row(family: Mapping[str, Any]) -> tuple[str, ...]:
    members = family["members"]
    done = [str(sum(m[fact] == "yes" for m in members)) for fact in ("built", "published")]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(family["created"]))
    return family["id"], family["name"], standing(family), str(len(members)), *done, when


def standing(family: Mapping[str, Any]) -> str:
    """How far a family is, in a word or two."""
    student = family["student"]
    if student["state"] == "distilling" and student.get("steps"):
        return f"distilling {student['step']}/{student['steps']}"
    if student["state"] != "ready":
        return str(student["state"])
    if family["measuring"] == "failed":
        return "measuring failed"
    return "ready" if family.get("settled") else "measuring"


def _state_line(family: Mapping[str, Any]) -> str:
    return f"{family['id']}  {family['teacher']}: {standing(family)}"


def costs_of(costs: Mapping[str, Any]) -> dict[str, Any]:
    """What goes with a family that is deleted, in numbers: sizes, folders, seconds of work."""
    leaving = costs["leaving"] or {}
    return {
        "members": costs["members"],
        "built": costs["built"],
        "measured": costs["measured"],
        "student_stays": leaving.get("stays", False),
        "seconds": leaving.get("seconds", 0.0),
        "measuring_seconds": leaving.get("measuring_seconds", 0.0),
        "repositories": list(leaving.get("repositories", ())),
    }


def costs_view(costs: Mapping[str, Any]) -> str:
    """What deleting a family costs, in sentences."""
    told = costs_of(costs)
    lines = [f"{costs['family']}  {costs['name']}: {told['members']} sizes, of which "
             f"{told['built']} are built and {told['measured']} measured."]  # fmt: skip
    if told["measured"]:
        lines.append(f"Measuring them took {duration(told['measuring_seconds'])}, and is lost.")
    took = f", which took {duration(told['seconds'])}" if told["seconds"] >= 1 else ""
    if costs["leaving"] is not None:
        stays = "stays for whoever asks again" if told["student_stays"] else "is stopped"
        lines.append(f"Its student{took}, {stays}." if took else f"Its student {stays}.")
    if told["repositories"]:
        lines.append(f"On the Hub stay: {', '.join(told['repositories'])}.")
    return "\n".join(lines)


def _ask(costs: Mapping[str, Any]) -> None:
    """Ask whether that is meant. Raises BadParameter where nobody can answer, Abort for no."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("Nobody can be asked here: say --yes.")
    typer.echo(costs_view(costs), err=True)
    typer.confirm("Delete it?", abort=True, err=True)


def _deleted_view(done: Mapping[str, Any]) -> str:
    left = done["repositories"]
    lines = [f"{done['family']}  {done['name']}: deleted, with {done['built']} built sizes."]
    return "\n".join([*lines, *([f"On the Hub stay: {', '.join(left)}."] if left else [])])
