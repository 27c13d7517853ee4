"""Rebuilds: asked for, of one family or of all, and what they found."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response

from app import actions
from app.api.families import STARTED, started
from app.context import ContextDep
from app.openapi import problems
from app.schemas.families import FamilyAnswer, RebuildRequest
from app.schemas.rebuilds import EveryRebuildAnswer, RebuildAnswer, RebuildsAnswer, rebuild_json

router = APIRouter(tags=["rebuilds"])


@router.post(
    "/families/{id_}/rebuild",
    status_code=202,
    response_model=FamilyAnswer,
    responses=STARTED | problems(403, 404, 409, 422),
)
def rebuild(
    id_: str, request: Request, context: ContextDep, body: RebuildRequest | None = None
) -> Response:
    """Look at all that is there of a family, and mend it; with `force`, a new generation of it.

    The answer's `rebuild` is the number of what was asked; one that is not over is joined.
    """
    force = body is not None and body.force
    begun = actions.rebuild(request, context, id_, force=force)
    more = {"event": begun.event}
    if begun.rebuild is not None:
        more["rebuild"] = begun.rebuild
    return started(request, context, begun.family, **more)


@router.get("/families/{id_}/rebuilds", response_model=RebuildsAnswer, responses=problems(404))
def index(id_: str, context: ContextDep) -> Response:
    """The rebuilds of a family, newest first."""
    catalog = context.catalog
    catalog.check_family(id_)
    found = catalog.rebuilds(catalog.family_id(id_))
    return JSONResponse({"rebuilds": [rebuild_json(one, context.redact) for one in found]})


Number = Annotated[int, Path(ge=1, le=1 << 62)]


@router.get(
    "/families/{id_}/rebuilds/{number}", response_model=RebuildAnswer, responses=problems(404, 422)
)
def read(id_: str, number: Number, context: ContextDep) -> Response:
    """One rebuild, with what it found so far."""
    catalog = context.catalog
    catalog.check_family(id_)
    found = catalog.rebuild_numbered(catalog.family_id(id_), number)
    return JSONResponse(rebuild_json(found, context.redact))


@router.post("/rebuilds", status_code=202, response_model=EveryRebuildAnswer)
def rebuild_all(request: Request, context: ContextDep) -> Response:
    """Look at all that is there of every family, at each student once, and mend it.

    Every family is each that the key owns; with the scope `admin` all that there are.
    """
    catalog = context.catalog
    every, waiting = actions.rebuild_all(request, context)
    found = [catalog.rebuild_numbered(one.family.id, one.rebuild) for one in every]
    shown = [rebuild_json(one, context.redact) for one in found]
    return JSONResponse({"rebuilds": shown, "waiting": waiting}, 202)
