"""What happens, as it happens: server-sent events, resumable by Last-Event-ID."""

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from app.context import Context, ContextDep
from app.openapi import problems, text
from app.schemas.service import EventData

router = APIRouter(tags=["events"])

_STREAM = text(
    "text/event-stream",
    "Events with their ids, without an end; the data of each is JSON",
    contentMediaType="application/json",
    contentSchema={"$ref": f"#/components/schemas/{EventData.__name__}"},
)

After = Annotated[int | None, Query(ge=0, le=1 << 62)]


@router.get(
    "/families/{id_}/events", response_class=EventSourceResponse, responses=_STREAM | problems(404)
)
async def of_family(
    id_: str, request: Request, context: ContextDep, after: After = None
) -> EventSourceResponse:
    """States, steps, losses and members of one family, from its first event on."""
    await run_in_threadpool(context.catalog.check_family, id_)
    return EventSourceResponse(_events(context, id_, _start(request, after, 0)))


@router.get("/events", response_class=EventSourceResponse, responses=_STREAM)
async def of_all(request: Request, context: ContextDep, after: After = None) -> EventSourceResponse:
    """The events of every family, from now on."""
    newest = await run_in_threadpool(context.catalog.last_event)
    return EventSourceResponse(_events(context, None, _start(request, after, newest)))


def _start(request: Request, after: int | None, otherwise: int) -> int:
    last = request.headers.get("last-event-id", "")
    if last.isdecimal() and len(last) < 19:
        return int(last)
    return otherwise if after is None else after


async def _events(context: Context, family: str | None, at: int) -> AsyncIterator[ServerSentEvent]:
    seen = -1
    while True:
        found = await run_in_threadpool(context.catalog.events_after, at, family)
        for event in found:
            at = event.id
            data = {"time": event.time, "family": event.family, "student": event.student,
                    **event.payload}  # fmt: skip
            yield ServerSentEvent(
                json.dumps(context.redact(data)), event=event.kind, id=str(event.id)
            )
        if not found:
            seen = await context.watch.after(seen)
