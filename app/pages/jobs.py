"""The page of jobs: what runs, what waits, what failed, and what helps."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.context import ContextDep
from app.pages.rendering import page, templates
from app.schemas.jobs import jobs_json
from app.security.keys import may
from app.views import PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SHOWN = 50
"""Of each stage."""
TITLES = {
    "hash": "Hashing the files", "distill": "Distillation", "verify": "Look at the student",
    "keep": "Copy of the student on the Hub", "measure": "Measuring", "build": "Build",
    "publish": "Publication", "rebuild": "Rebuild", "follow": "Teacher's new commit",
    "notify": "Notices", "settle": "Sending what was asked for", "fetch": "Fetching a model",
    "compare": "Comparison of embeddings", "file": "Hashing a file",
    "play": "Fetching a pair to try", "message": "Messages that no worker can read:",
}  # fmt: skip


def _span(seconds: float) -> str:
    """How long something took or takes, to what a person can do with it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= length):
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


templates.env.filters |= {"span": _span, "iso": _iso}


def _drawn_together(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs as they are listed: sizes of a family of which there is nothing to say but that they
    wait are one line, `sizes`, where the first of them stood.
    """
    shown: list[dict[str, Any]] = []
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for job in jobs:
        plain = job["kind"] in ("build", "publish") and job["what"] not in (None, "*")
        if not plain or job["reason"] or job["due"] or job["sends"]:
            shown.append(job)
            continue
        key = job["kind"], job["family"]
        if key not in lines:
            lines[key] = job | {"sizes": []}
            shown.append(lines[key])
        lines[key]["sizes"].append(job["what"])
    return shown


@router.get("/jobs", response_class=HTMLResponse)
def jobs(request: Request, context: ContextDep) -> Response:
    """What there is to do and what went wrong, drawn again when anything changes."""
    event = context.catalog.last_event()
    limits, workers = context.settings.limits, may(request, "build")
    found = jobs_json(context.catalog.jobs(SHOWN), context.redact, limits, workers=workers)
    found["rows"] = {
        "running": found["running"],
        "waiting": _drawn_together(found["waiting"]),
        "failed": found["failed"],
    }
    facts = {"jobs": found, "titles": TITLES}
    return page(request, context, "jobs/jobs.html", event, facts, parts=("jobs",))
