"""The home page: the families, and what each is doing."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.context import ContextDep
from app.pages.rendering import page
from app.views import family_views

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=HTMLResponse)
def home(request: Request, context: ContextDep) -> Response:
    """Families and sizes, built and possible, with live state."""
    event = context.catalog.last_event()
    snapshot = context.cache.now()
    names = snapshot.names()
    families: list[dict[str, Any]] = [
        family | {"label": names.get(family["id"], family["name"])}
        for family in family_views(context, snapshot)
    ]
    return page(request, context, "home/home.html", event, {"families": families})
