"""The page of a size: how to have it, and what was measured."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.context import ContextDep
from app.pages.family import labelled
from app.pages.rendering import page
from app.views import PageRoute, chosen, member_views

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.api_route("/models/{size}", methods=["GET", "HEAD"], response_class=HTMLResponse)
def model(size: str, request: Request, context: ContextDep, family: str | None = None) -> Response:
    """One size: how to have it, and what was measured."""
    event = context.catalog.last_event()
    found = chosen(request, context, size, family)
    if isinstance(found, Response):
        return found
    snapshot, of = found
    [member] = member_views(context, snapshot, [of])
    facts = {"member": member, "family": labelled(context, of.family)}
    return page(request, context, "model/model.html", event, facts)
