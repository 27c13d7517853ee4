"""The command that asks a running service, and waits with a bar for what it makes: request."""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.service.client import POLL_SECONDS, Service
from boomerang.cli.show import emit, family_view
from boomerang.errors import BadRequest, BoomerangError
from boomerang.family.layer_map import parse_layers
from boomerang.hub import library


class Gating(StrEnum):
    """How readers of a gated repository are let in."""

    AUTO = "auto"
    MANUAL = "manual"


def request(
    teacher: options.Teacher,
    budget: Annotated[str, typer.Argument(help=f"{options.BUDGET}, or a size's name.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Text, by the service's name; may be repeated.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe.")] = None,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    heal: Annotated[
        str | None, typer.Option(help="Id of a family: train its size of that BUDGET by itself.")
    ] = None,
    order: options.MeasuredOrder = "auto",
    publish: Annotated[str | None, typer.Option(help="Hub namespace to push it to.")] = None,
    gated: Annotated[
        Gating | None, typer.Option(help="How readers of it are let in, if not all are.")
    ] = None,
    as_me: Annotated[
        bool, typer.Option("--as-me", help="Push it with your own Hub token, not the service's.")
    ] = False,
    notify: Annotated[
        str | None, typer.Option(help="Address that the service tells what becomes of it.")
    ] = None,
    kept: options.Kept = None,
    map_: options.Map = None,
    tasks: options.TaskNames = None,
    limit: options.Limit = None,
    wait: options.Wait = False,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Ask a running service for a size."""
    texts = data[0] if data and len(data) == 1 else data or None
    asked = {"teacher": teacher, "budget": budget, "data": texts, "recipe": recipe,
             "student": student, "order": order, "map": map_, "task_limit": limit,
             "notify": notify}  # fmt: skip
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if heal is not None:
        body["heal"] = {"family": heal, "size": budget}
    if kept is not None:
        body["kept"] = list(parse_layers(kept))
    if tasks is not None:
        body["tasks"] = [name.strip() for name in tasks.split(",")]
    if publish is not None:
        body["publish"] = {"namespace": publish} | ({} if gated is None else {"gated": gated.value})
    elif as_me or gated is not None:
        raise typer.BadParameter("--as-me and --gated say how to --publish: name a namespace.")
    with Service(url, api_key) as service:
        family = service.post("/families", body, token=own_token() if as_me else None)
        if wait:
            planned = {key: family[key] for key in ("budget", "cost") if key in family}
            family = planned | wait_made(service, family["id"])
        emit(family, as_json, family_view)


def own_token() -> str:
    """The token of whoever runs this: HF_TOKEN, or that of `hf auth login`. Raises BadRequest."""
    token = library.huggingface_hub.get_token()
    if token is None:
        raise BadRequest(
            "There is no Hub token of yours on this machine.",
            fix="Run `hf auth login`, or set HF_TOKEN.",
        )
    return token


Family = Mapping[str, Any]


class NotMade(BoomerangError):
    """What was waited for failed."""

    slug, title = "not-made", "It failed"


def wait_made(service: Service, id_: str, title: str = "waiting") -> dict[str, Any]:
    """Wait until a family is distilled and measured, and what was asked of it is done.

    Raises NotMade where any of it failed or was cancelled.
    """
    with Bar(title) as bar:
        while True:
            family = service.family(id_)
            show_progress(bar, family)
            if is_made(family):
                return family
            time.sleep(POLL_SECONDS)


def show_progress(bar: Bar, family: Family) -> None:
    """What a family is doing, on a bar."""
    student = family["student"]
    if student["state"] == "hashing":
        bar.say("hashing its files, in MB")
        bar.count(*(family["hashing"][name] // 10**6 for name in ("done", "total")))
    elif student["state"] == "distilling" and family.get("ladder") == "provisional":
        bar.say("choosing which layers the student keeps")
    elif student["state"] == "ready":
        running = family["measuring"] == "running"
        bar.say((family.get("measuring_reason") or "measuring") if running else _last_work(family))
        done = sum(m["measured"] == "yes" for m in family["members"])
        bar.count(done, len(family["members"]))
    else:
        bar.say(str(student["state"]))
        bar.steps(student)


def _last_work(family: Family) -> str:
    """What is done of a family that is measured: which of its sizes is being published, if any."""
    for member in family["members"]:
        if member.get("published") == "running":
            return f"publishing {member['size']}  {member.get('published_reason') or ''}".rstrip()
    return "finishing"


def is_made(family: Family) -> bool:
    """Whether nothing of the family is left to be done. Raises NotMade for what failed."""
    student = family["student"]
    if student["state"] in ("failed", "cancelled"):
        what = "Hashing the files" if family.get("provisional") else "The student"
        raise _not_made(f"{what} of {family['teacher']} is {student['state']}", student)
    if student["state"] != "ready":
        return False
    if family["measuring"] == "failed":
        reason = {"reason": family.get("measuring_reason")}
        raise _not_made(f"Measuring {family['id']} failed", reason)
    # Without text nothing is measured: then the order that was settled is the end of it.
    if family["measuring"] == "running" or not family.get("settled", family["chosen"]):
        return False
    for request in family.get("wants", ()):
        if request["state"] == "failed":
            raise _not_made(f"{request['kind']} of {request['what']} failed", request)
    return all(request["state"] == "yes" for request in family.get("wants", ()))


def _not_made(what: str, of: Mapping[str, Any]) -> NotMade:
    reason = str(of.get("reason") or "").rstrip(".")
    return NotMade(f"{what}{': ' + reason if reason else ''}.", value=of.get("state"))
