"""Whether the service lives, whether it can work, and its figures."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from app.context import ContextDep
from app.errors import problem
from app.openapi import problems, text
from app.schemas.service import ReadyAnswer

router = APIRouter(tags=["health"])

MEDIA_TYPE = "text/plain; version=0.0.4"


@router.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok\n"


@router.get("/readyz", response_model=ReadyAnswer, responses=problems(503))
def readyz(context: ContextDep) -> Response:
    """Catalog and queue answer."""
    for name, check in (("catalog", context.catalog.ping), ("queue", context.producer.ping)):
        try:
            check()
        except Exception as error:
            return problem(503, "not-ready", "Not ready", f"The {name} does not answer.",
                           value=type(error).__name__, fix="Look at its log.")  # fmt: skip
    return JSONResponse({"catalog": "ok", "queue": "ok"})


@router.get(
    "/metrics", response_class=Response, responses=text(MEDIA_TYPE, "In the format of Prometheus")
)
def metrics(context: ContextDep) -> Response:
    """Counts for Prometheus."""
    registry = CollectorRegistry()
    gauge = Gauge("boomerang_things", "What the catalog holds", ["kind"], registry=registry)
    for kind, count in context.catalog.counts().items():
        gauge.labels(kind).set(count)
    return Response(generate_latest(registry), media_type=MEDIA_TYPE)
