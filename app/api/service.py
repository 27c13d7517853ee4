"""The service itself: whether it lives and can work, its figures, and events as they happen."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import generate_latest
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from app.context import Context, ContextDep
from app.errors import problem
from app.feed import line_of
from app.openapi import problems, text
from app.schemas.answer import EventData, ReadyAnswer
from app.security.ending import while_allowed

health = APIRouter(tags=["health"])
events = APIRouter(tags=["events"])

MEDIA_TYPE = "text/plain; version=0.0.4"


@health.get("/healthz", response_class=PlainTextResponse)
async def healthz() -> str:
    """The process answers."""
    return "ok\n"


@health.get("/readyz", response_model=ReadyAnswer, responses=problems(503))
def readyz(context: ContextDep) -> Response:
    """Whether catalog and queue answer, and what else is missing: workers, room, the Hub."""
    parts = context.health.parts()
    lacks = [part for part in parts if part.state == "fail"]
    if lacks:
        detail = "; ".join(f"{part.name}: {part.said}" for part in lacks)
        return problem(503, "not-ready", "Not ready", f"{detail}.",
                       value=[part.name for part in parts if part.state != "ok"],
                       fix=" ".join(part.fix for part in lacks))  # fmt: skip
    return JSONResponse({"parts": [asdict(part) for part in parts]})


@health.get(
    "/metrics", response_class=Response, responses=text(MEDIA_TYPE, "In the format of Prometheus")
)
def metrics(request: Request, context: ContextDep) -> Response:
    """Figures for Prometheus."""
    return Response(generate_latest(request.app.state.figures.registry), media_type=MEDIA_TYPE)


_STREAM = text(
    "text/event-stream",
    "Events with their ids, without an end; the data of each is JSON",
    contentMediaType="application/json",
    contentSchema={"$ref": f"#/components/schemas/{EventData.__name__}"},
)

After = Annotated[int | None, Query(ge=0, le=1 << 62)]
Named = Annotated[bool, Query()]


@events.get(
    "/families/{id_}/events", response_class=EventSourceResponse, responses=_STREAM | problems(404)
)
async def of_family(
    id_: str, request: Request, context: ContextDep, after: After = None
) -> EventSourceResponse:
    """States, steps, losses and members of one family, from its first event on."""
    await run_in_threadpool(context.catalog.check_family, id_)
    found = _events(context, id_, _start(request, after, 0))
    return EventSourceResponse(while_allowed(request, found))


@events.get("/events", response_class=EventSourceResponse, responses=_STREAM)
async def of_all(
    request: Request, context: ContextDep, after: After = None, named: Named = True
) -> EventSourceResponse:
    """The events of every family, from now on; steps at most once a second, the newest of each.

    With `named=false` no event has a name, so that a page hears of kinds it does not know.
    """
    newest = await run_in_threadpool(context.catalog.last_event)
    found = _of_all(context, _start(request, after, newest), named=named)
    return EventSourceResponse(while_allowed(request, found))


def _start(request: Request, after: int | None, otherwise: int) -> int:
    last = request.headers.get("last-event-id", "")
    if last.isdecimal() and len(last) < 19:
        return int(last)
    return otherwise if after is None else after


async def _of_all(context: Context, at: int, *, named: bool) -> AsyncIterator[ServerSentEvent]:
    while True:
        for told in await context.feed.after(at):
            at = told.id
            kind = told.kind if named else None
            yield ServerSentEvent(told.data, event=kind, id=str(told.id))


async def _events(context: Context, family: str, at: int) -> AsyncIterator[ServerSentEvent]:
    seen = -1
    while True:
        found = await run_in_threadpool(context.catalog.events_after, at, family)
        for event in found:
            at = event.id
            line = line_of(event, context.redact)
            yield ServerSentEvent(line, event=event.kind, id=str(event.id))
        if not found:
            seen = await context.watch.after(seen)
