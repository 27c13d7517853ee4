"""Jobs: what runs, what waits, on which worker, since when, and what failed."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import ContextDep
from app.openapi import problems
from app.schemas.jobs import JobsAnswer, jobs_json
from app.security.keys import may
from app.views import VARY

router = APIRouter(tags=["jobs"])

Limit = Annotated[int, Query(ge=1, le=500, description="of each stage")]


@router.get("/jobs", response_model=JobsAnswer, responses=problems(422))
def jobs(request: Request, context: ContextDep, limit: Limit = 50) -> Response:
    """What there is to do and what went wrong; `counts` says how many there are beside these."""
    limits, workers = context.settings.limits, may(request, "build")
    found = jobs_json(context.catalog.jobs(limit), context.redact, limits, workers=workers)
    return JSONResponse(found, headers=VARY)
