"""The page of a family: its student, its ladder, what was asked of it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.context import Context, ContextDep
from app.pages.rendering import page
from app.schemas.rebuilds import rebuild_json
from app.views import PageRoute, family_view

_REBUILDS = 5
"""How many of a family its page shows, the newest."""
router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/families/{id_}", response_class=HTMLResponse)
def family(id_: str, request: Request, context: ContextDep) -> Response:
    """One family: its student, its ladder, what was asked of it."""
    event = context.catalog.last_event()
    shown = labelled(context, id_)
    rebuilds = [
        rebuild_json(one, context.redact)
        for one in context.catalog.rebuilds(shown["id"])[:_REBUILDS]
    ]
    facts = {"family": shown, "rebuilds": rebuilds}
    return page(request, context, "family/family.html", event, facts)


def labelled(context: Context, id_: str) -> dict[str, Any]:
    """A family with what pages call it: nothing that is being hashed has a name of its own."""
    shown = family_view(context, id_)
    names = context.cache.now().names_of([shown["id"]])
    return shown | {"label": names.get(shown["id"], shown["name"])}
