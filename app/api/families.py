"""Families: asked for, listed, rebuilt, cancelled, deleted."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.context import ContextDep
from app.negotiation import VARY
from app.schemas.families import RebuildRequest
from app.security import lacking, may
from app.views import family_view, family_views
from boomerang.service.intake.pipeline import ask
from boomerang.service.intake.request import FamilyRequest
from boomerang.service.messages import KeyFamily

router = APIRouter(prefix="/families", tags=["families"])


@router.post("", status_code=202, response_model=None)
async def create(
    body: FamilyRequest, request: Request, response: Response, context: ContextDep
) -> dict[str, Any] | Response:
    """Plan a family and distil its student, once: the same request is the same family."""
    if body.publish is not None and not may(request, "publish"):
        return lacking("publish")

    def made() -> dict[str, Any]:
        id_, plan = ask(context.settings, context.catalog, context.producer, body)
        response.headers["Location"] = f"/families/{id_}"
        return family_view(context, id_, budget=plan.budget, cost=plan.cost)

    return await context.lanes.answered(made)


@router.get("/{id_}")
def read(id_: str, response: Response, context: ContextDep) -> dict[str, Any]:
    """A family with its student and its whole ladder."""
    response.headers.update(VARY)
    return family_view(context, id_)


@router.get("")
def index(context: ContextDep) -> dict[str, Any]:
    """Every family, newest first; before them those whose files are being hashed."""
    return {"families": family_views(context, context.cache.now())}


@router.delete("/{id_}", status_code=204)
def delete(id_: str, context: ContextDep) -> None:
    """Forget a family and what was built of it; its student stays cached."""
    catalog = context.catalog
    if not catalog.forget_waiting(id_):
        context.producer.sweep(catalog.delete_family(catalog.family_id(id_)))


@router.post("/{id_}/cancel", status_code=202)
def cancel(id_: str, context: ContextDep) -> dict[str, Any]:
    """Stop the distillation, or the hashing before it."""
    catalog = context.catalog
    if not catalog.give_up(id_):
        catalog.cancel(catalog.family_id(id_))
    return family_view(context, id_)


@router.post("/{id_}/rebuild", status_code=202, response_model=None)
def rebuild(
    id_: str,
    request: Request,
    response: Response,
    context: ContextDep,
    body: RebuildRequest | None = None,
) -> dict[str, Any] | Response:
    """Verify a family, and make what is missing; with `force`, a new generation beside it."""
    catalog = context.catalog
    event = catalog.last_event()
    again = catalog.hash_again(id_)
    if again is not None:
        # There is nothing to verify yet, and nothing to make another beside.
        if again:
            context.producer.send(KeyFamily(family=id_))
        response.headers["Location"] = f"/families/{id_}"
        return family_view(context, id_, event=event)
    id_ = catalog.family_id(id_)
    force = body is not None and body.force
    # A new generation is published wherever the one before it was to be.
    publishes = force and any(one.kind == "publish" for one in catalog.requests(id_))
    if publishes and not may(request, "publish"):
        return lacking("publish")
    rebuilt = catalog.rebuild(id_, force=force)
    context.pairs.forget(rebuilt.student.key)
    context.producer.start(rebuilt)
    response.headers["Location"] = f"/families/{rebuilt.family.id}"
    return family_view(context, rebuilt.family.id, event=rebuilt.event)
