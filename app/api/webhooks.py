"""A teacher changed on the Hub: its families are rebuilt. Only the Hub comes here (security.py)."""

import logging
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from app.context import Context, ContextDep
from app.openapi import problems
from app.schemas.service import RebuiltAnswer
from boomerang.errors import BoomerangError
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.pipeline import ask

log = logging.getLogger("boomerang.app")

_PROBLEMS = problems(401, 422, 502, 503)

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


class Repo(BaseModel):
    """The repository that changed."""

    model_config = ConfigDict(extra="ignore")

    type: str
    name: str


class Payload(BaseModel):
    """What of a Hub webhook (version 3) is read; `updatedRefs` says which branches moved."""

    model_config = ConfigDict(extra="ignore")

    repo: Repo
    updatedRefs: list[dict[str, Any]] = []  # noqa: N815


@router.post("/hub", status_code=202, response_model=RebuiltAnswer, responses=_PROBLEMS)
async def hub_changed(payload: Payload, context: ContextDep) -> Response:
    """Make the families of a teacher anew at its new commit; those there are stay as they are."""
    moved = [ref for ref in payload.updatedRefs if ref.get("newSha")]
    rebuilt: list[str] = []
    if payload.repo.type == "model" and moved:
        rebuilt = await context.lanes.answered(lambda: _rebuild(context, payload.repo.name))
    return JSONResponse({"rebuilt": rebuilt}, 202)


def _rebuild(context: Context, teacher: str) -> list[str]:
    made: dict[str, None] = {}
    for family in context.catalog.families(teacher=teacher):
        if family.revision is not None or family.source is not None:
            continue
        request = FamilyRequest.model_validate(family.request)
        try:
            id_, _ = ask(context.settings, context.catalog, context.producer, request)
        except BoomerangError as error:
            if error.transient:
                raise  # the Hub tells it once more
            # Its student may be gone, or its new commit unusable; others may be fine.
            log.warning("family %s cannot be made anew: %s", family.id, error)
            continue
        made[id_] = None
    return list(made)
