"""What a family would be, and of which teachers: asked before anything is."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from app.context import ContextDep
from app.openapi import problems
from app.schemas.plan import PlanAnswer, TeachersAnswer, plan_json
from boomerang.errors import HubBusy, HubFailure
from boomerang.service.intake.preview import PlanQuery, preview

router = APIRouter(tags=["plan"])


@router.get("/plan", response_model=PlanAnswer, responses=problems(403, 404, 422, 502, 503))
async def plan(query: Annotated[PlanQuery, Query()], context: ContextDep) -> Response:
    """The ladder of a teacher from headers alone, with what each size takes to run."""

    def made() -> Response:
        made = preview(context.settings, context.catalog, query, context.teachers.find)
        return JSONResponse(context.redact(plan_json(made)))

    return await context.lanes.answered(made)


@router.get("/teachers", response_model=TeachersAnswer)
async def teachers(context: ContextDep, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Models that may be teachers: folders below BOOMERANG_MODELS, and what the Hub finds."""
    found = await run_in_threadpool(context.teachers.folders, q)
    try:
        of_hub = await context.lanes.answered(lambda: context.teachers.hub(q))
    except (HubFailure, HubBusy):
        # Whoever types is helped by what is here.
        return JSONResponse({"teachers": found, "hub": False})
    return JSONResponse({"teachers": found + of_hub, "hub": True})
