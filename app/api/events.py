"""What happens, as it happens: server-sent events, resumable by Last-Event-ID."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from app.deps import Service, ServiceDep
from boomerang.catalog.catalog import Catalog

router = APIRouter(tags=["events"])

POLL_SECONDS = 0.3

After = Annotated[int | None, Query(ge=0, le=1 << 62)]


@router.get("/families/{id_}/events")
async def of_family(
    id_: str, request: Request, service: ServiceDep, after: After = None
) -> EventSourceResponse:
    """States, steps, losses and members of one family, from its first event on."""
    await run_in_threadpool(service.catalog.check_family, id_)
    return EventSourceResponse(
        _events(service, _bell(service, request), id_, _start(request, after, 0))
    )


@router.get("/events")
async def of_all(request: Request, service: ServiceDep, after: After = None) -> EventSourceResponse:
    """The events of every family, from now on."""
    newest = await run_in_threadpool(service.catalog.last_event)
    return EventSourceResponse(
        _events(service, _bell(service, request), None, _start(request, after, newest))
    )


def _start(request: Request, after: int | None, otherwise: int) -> int:
    last = request.headers.get("last-event-id", "")
    if last.isdecimal() and len(last) < 19:
        return int(last)
    return otherwise if after is None else after


class Bell:
    """Says when there are newer events: one question to the catalog for all who listen here."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._asking: asyncio.Task[int] | None = None

    async def after(self, event: int) -> int:
        """The id of the newest event, once it is not this one any more."""
        newest = event
        while newest == event:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
            # Whoever leaves must not end it for the others.
            newest = await asyncio.shield(self._asking)
        return newest

    async def _ask(self) -> int:
        await asyncio.sleep(POLL_SECONDS)
        return await run_in_threadpool(self._catalog.last_event)


def _bell(service: Service, request: Request) -> Bell:
    state = request.app.state
    if not hasattr(state, "bell"):
        state.bell = Bell(service.catalog)
    found: Bell = state.bell
    return found


async def _events(
    service: Service, bell: Bell, family: str | None, at: int
) -> AsyncIterator[ServerSentEvent]:
    seen = -1
    while True:
        found = await run_in_threadpool(service.catalog.events_after, at, family)
        for event in found:
            at = event.id
            data = {"time": event.time, "family": event.family, "student": event.student,
                    **event.payload}  # fmt: skip
            yield ServerSentEvent(
                json.dumps(service.redact(data)), event=event.kind, id=str(event.id)
            )
        if not found:
            seen = await bell.after(seen)
