"""What happened to a family: the curve of its distillation, and its log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from app.context import Context, ContextDep
from app.openapi import problems
from app.schemas.history import CurveAnswer, LogAnswer, curve_json, log_json
from boomerang.catalog.students.history import CurveMetric

router = APIRouter(prefix="/families/{id_}", tags=["events"])

Before = Annotated[int | None, Query(ge=0, le=1 << 62)]
Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/curve", response_model=CurveAnswer, responses=problems(404, 422))
def curve(id_: str, context: ContextDep, metric: CurveMetric = "loss") -> Response:
    """How the loss of the distillation went, or another of its figures, in some 300 points.

    It is kept when the events of the single steps are forgotten.
    """
    return JSONResponse(curve_of(context, id_, metric))


@router.get("/log", response_model=LogAnswer, responses=problems(404, 422))
def log(id_: str, context: ContextDep, before: Before = None, limit: Limit = 50) -> Response:
    """What happened, in words, newest first: the events, but for the progress of each step."""
    return JSONResponse(log_of(context, id_, before, limit))


def curve_of(context: Context, id_: str, metric: CurveMetric = "loss") -> dict[str, Any]:
    """The curve of a family's student; it has no point while its files are hashed.

    Raises FamilyNotFound.
    """
    if context.catalog.waiting(id_) is not None:
        return {"student": None, "metric": metric, "step": 0, "steps": 0, "points": []}
    family = context.catalog.family(context.catalog.family_id(id_))
    return curve_json(context.catalog.curve(family.student, metric))


def log_of(context: Context, id_: str, before: int | None, limit: int) -> dict[str, Any]:
    """A page of a family's log. Raises FamilyNotFound."""
    context.catalog.check_family(id_)
    return log_json(*context.catalog.log(id_, before, limit), context.redact)
