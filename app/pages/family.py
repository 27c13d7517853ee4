"""The page of a family: which size to take, whether to trust it, whether it is there."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.context import Context, ContextDep
from app.pages.ladders.sizes import CONTEXTS
from app.pages.ladders.view import LadderView
from app.pages.rendering import page
from app.schemas.history import log_json
from app.schemas.rebuilds import rebuild_json
from app.security.keys import may_have
from app.views import VARY, PageRoute, family_view
from boomerang.charts.loss import loss_chart

_REBUILDS = 5
"""How many of a family its page shows, the newest."""
_ENTRIES = 12
"""How many things that happened its page tells at a time."""
_BADGES = {"published": "ready", "built": "ready", "publishing": "running", "building": "running",
           "failed": "failed", "possible": "possible", "planned": ""}  # fmt: skip
"""How the state of a size looks."""
router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/families/{id_}", response_class=HTMLResponse)
def family(id_: str, request: Request, context: ContextDep) -> Response:
    """One family: its sizes, its ladder, its distillation, and what happened to it."""
    event = context.catalog.last_event()
    shown = labelled(request, context, id_)
    facts: dict[str, Any] = {
        "family": shown, "view": None, "contexts": CONTEXTS, "badge": _BADGES,
        "records": {member["size"]: member for member in shown["members"]},
        "play": getattr(context.settings, "play", False),
        "namespace": context.settings.namespace, "mine": True,
    }  # fmt: skip
    if not shown.get("provisional"):
        of = context.catalog.family(shown["id"])
        # Whoever may not have its bytes is offered none.
        facts["mine"] = may_have(request, of)
        facts["view"] = LadderView(context.catalog, of, dict(request.query_params))
    parts = {
        "head": dict,
        "run": lambda: _run(context, shown),
        "sizes": lambda: _sizes(facts["view"]),
        "ladder": dict,
        "asked": lambda: _asked(context, shown),
        "log": lambda: _log(context, shown, request.query_params.get("before", "")),
    }
    return page(request, context, "family/family.html", event, facts, parts=parts)


@router.get("/families")
def families(request: Request) -> Response:
    """Whoever shortens a family's address in a browser comes to the page of all."""
    query = request.url.query
    return RedirectResponse(f"/?{query}" if query else "/", 307, VARY)


def labelled(request: Request, context: Context, id_: str) -> dict[str, Any]:
    """A family with what pages call it: nothing that is being hashed has a name of its own."""
    shown = family_view(request, context, id_)
    names = context.cache.now().names_of([shown["id"]])
    return shown | {"label": names.get(shown["id"], shown["name"])}


def _sizes(view: LadderView | None) -> dict[str, Any]:
    if view is None:
        return {}
    return {"curve": view.curve, "layers": view.layers}


def _run(context: Context, shown: dict[str, Any]) -> dict[str, Any]:
    """The loss of the distillation so far, and how long it took."""
    if shown.get("provisional"):
        return {"loss": "", "took": None}
    student = context.catalog.student(shown["student"]["key"])
    curve = context.catalog.curve(student.key)
    return {"loss": loss_chart(curve.points, total=curve.steps)}


def _asked(context: Context, shown: dict[str, Any]) -> dict[str, Any]:
    found = context.catalog.rebuilds(shown["id"])[:_REBUILDS]
    return {"rebuilds": [rebuild_json(one, context.redact) for one in found]}


def _log(context: Context, shown: dict[str, Any], before: str) -> dict[str, Any]:
    at = int(before) if before.isdecimal() and len(before) < 19 else None
    entries, more = context.catalog.log(shown["id"], at, _ENTRIES)
    return {"log": log_json(entries, more, context.redact), "log_from": at}
