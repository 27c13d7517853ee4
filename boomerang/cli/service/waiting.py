"""Waiting for what a service makes, with a bar."""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from boomerang.cli.progress import Bar
from boomerang.cli.service.client import POLL_SECONDS, Refused, Service, Unreachable
from boomerang.errors import BoomerangError

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
    elif student["state"] == "ready":
        running = family["measuring"] == "running"
        bar.say((family.get("measuring_reason") or "measuring") if running else "finishing")
        done = sum(m["measured"] == "yes" for m in family["members"])
        bar.count(done, len(family["members"]))
    else:
        bar.say(str(student["state"]))
        bar.steps(student)


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


def wait_rebuilt(service: Service, family: Family) -> dict[str, Any]:
    """Wait until a rebuild that was asked for is over. Raises NotMade where it failed.

    `family` is the answer to `POST /families/{id}/rebuild`. What the family says of itself may
    still be of before the rebuild, so its events are followed first.
    """
    id_, at = str(family["id"]), int(family["event"])
    if family.get("provisional"):
        # There is nothing to verify before it is made for the first time.
        return wait_made(service, id_)
    remeasured = family["measuring"] != "failed"
    with Bar(f"rebuilding {id_}") as bar:
        checked = False
        while not (checked and remeasured):
            for event, kind, values in _followed(service, id_, at):
                at = event
                if kind == "progress":
                    bar.steps(values)
                state = values.get("state")
                if kind == "student" and state in ("failed", "cancelled"):
                    raise _not_made(f"The rebuild of {id_} is {state}", values)
                if kind == "unverified" and values.get("again_in") is None:
                    raise _not_made(f"{id_} could not be verified", values)
                checked = checked or kind == "verified" or (kind, state) == ("student", "ready")
                remeasured = remeasured or kind == "measuring"
                if checked and remeasured:
                    break
    return wait_made(service, id_, f"checking {id_}")


def rebuild_all(service: Service, family: str | None, *, force: bool, wait: bool) -> dict[str, Any]:
    """Rebuild one family, or all of them; one that fails does not keep the others from it.

    Returns `families`, each with its `id`, the `state` of its student and an `error` or None.
    """
    if family is not None:
        ids = [family]
    else:
        ids = [str(one["id"]) for one in service.get("/families")["families"]]
    asked = [(id_, _asked(service, id_, force)) for id_ in ids]
    return {"families": [_rebuilt(service, id_, answer, wait) for id_, answer in asked]}


def _asked(service: Service, id_: str, force: bool) -> Family | BoomerangError:
    try:
        return service.post(f"/families/{quote(id_, safe='')}/rebuild", {"force": force})
    except Refused as error:
        return error


def _rebuilt(
    service: Service, id_: str, answer: Family | BoomerangError, wait: bool
) -> dict[str, Any]:
    try:
        if isinstance(answer, BoomerangError):
            raise answer
        family = wait_rebuilt(service, answer) if wait else answer
    except (Refused, NotMade) as error:
        return {"id": id_, "state": None, "error": str(error)}
    return {"id": family["id"], "state": family["student"]["state"], "error": None}


def _followed(service: Service, id_: str, after: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
    try:
        yield from service.events(id_, after)
    except Unreachable:
        # The stream broke; if the service is there again, it goes on where it was.
        service.family(id_)


def _not_made(what: str, of: Mapping[str, Any]) -> NotMade:
    reason = str(of.get("reason") or "").rstrip(".")
    return NotMade(f"{what}{': ' + reason if reason else ''}.", value=of.get("state"))
