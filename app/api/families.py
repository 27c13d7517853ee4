"""Families: asked for, listed, cancelled, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from app import actions
from app.context import Context, ContextDep
from app.listing import Asked, Listing, listed
from app.openapi import LOCATION, Responses, problems, text
from app.schemas.families import FamiliesAnswer, FamilyAnswer, LeftAnswer
from app.views import VARY, family_view, family_views
from boomerang.hub.rights import HEADER
from boomerang.service.intake.asked import FamilyRequest

router = APIRouter(prefix="/families", tags=["families"])

_PAGE = text("text/html", "The family; its page where that is asked for")
HubToken = Annotated[str | None, Header(alias=HEADER)]
STARTED: Responses = {202: {"headers": LOCATION}}


@router.post(
    "",
    status_code=202,
    response_model=FamilyAnswer,
    responses=STARTED | problems(403, 404, 409, 422, 429, 502, 503),
)
async def create(
    body: FamilyRequest, request: Request, context: ContextDep, token: HubToken = None
) -> Response:
    """Plan a family and distil its student, once: the same request is the same family.

    To publish it, a key needs the scope `publish`. With `X-Hub-Token`, the requester's own token of
    the Hub, it is published as that user; the token is kept, sealed, until that is done.
    """
    id_, plan = await actions.make(request, context, body, token)
    return await context.lanes.answered(
        lambda: started(request, context, id_, budget=plan.budget, cost=plan.cost)
    )


@router.get("/{id_}", response_model=FamilyAnswer, responses=_PAGE | problems(404))
def read(id_: str, request: Request, context: ContextDep) -> Response:
    """A family with its student and its whole ladder."""
    return JSONResponse(family_view(request, context, id_), headers=VARY)


@router.get("", response_model=FamiliesAnswer)
def index(request: Request, context: ContextDep, asked: Asked) -> Response:
    """Every family, newest first; before them those whose files are being hashed.

    With any of `q`, `state`, `mine`, `limit` and `before` it is one page of them, all newest
    first, and says where the next is.
    """
    if not request.query_params.keys() & Listing.model_fields.keys():
        views = family_views(request, context, context.cache.now())
        return JSONResponse({"families": views}, headers=VARY)
    return JSONResponse(listed(request, context, asked), headers=VARY)


@router.delete(
    "/{id_}",
    response_model=LeftAnswer,
    responses=problems(403, 404, 409) | {204: {"description": "Nothing of it is on the Hub"}},
)
def delete(id_: str, request: Request, context: ContextDep) -> Response:
    """Forget a family and what was built of it; its student stays cached.

    What was published of it stays on the Hub: the answer names the repositories, where there are
    any. It takes owning the family, or the scope `admin`; where other keys own it too, only this
    one lets go of it, and it stays.
    """
    left = actions.delete(request, context, id_)
    return JSONResponse({"repositories": left}) if left else Response(status_code=204)


@router.post(
    "/{id_}/cancel", status_code=202, response_model=FamilyAnswer, responses=problems(403, 404, 409)
)
def cancel(id_: str, request: Request, context: ContextDep) -> Response:
    """Stop the distillation, or the hashing before it.

    It takes owning the family, or the scope `admin`; where other keys own it too, only this one
    lets go of it, and it goes on.
    """
    actions.cancel(request, context, id_)
    return JSONResponse(family_view(request, context, id_), 202)


def started(request: Request, context: Context, id_: str, **more: Any) -> Response:
    """The answer to who had something begun with a family."""
    headers = {"Location": f"/families/{id_}"}
    return JSONResponse(family_view(request, context, id_, **more), 202, headers)
