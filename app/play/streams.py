"""A question about one size, answered as server-sent events."""

import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.context import ContextDep
from app.openapi import problems, text
from app.schemas.play import PlayEvent, PlayStateAnswer
from app.security.ending import while_allowed
from app.tried import ask, member_of
from app.views import VARY
from boomerang.service.playing.asked import MOST_CHARACTERS, Question
from boomerang.service.playing.asking import MOST_WAITING, Asking

router = APIRouter(tags=["play"])

_STREAM = text(
    "text/event-stream",
    "What happens until `done` or `failed`; the data of each event is JSON",
    contentMediaType="application/json",
    contentSchema={"$ref": f"#/components/schemas/{PlayEvent.__name__}"},
)


@router.get("/play", response_model=PlayStateAnswer)
async def state(context: ContextDep) -> Response:
    """Whether sizes can be tried just now, how many wait for that, and what may be asked."""
    there, waiting = await context.playing.row() if context.playing.on else (False, 0)
    answer = {
        "on": context.playing.on,
        "worker": there,
        "waiting": waiting,
        "most_waiting": MOST_WAITING,
        "most_tokens": context.settings.play_tokens,
        "most_characters": MOST_CHARACTERS,
    }
    return JSONResponse(answer, headers=VARY)


@router.post(
    "/play/{family}/{size}",
    response_class=EventSourceResponse,
    responses=_STREAM | problems(403, 404, 409, 422, 429, 503),
)
async def play(
    family: str, size: str, body: Question, request: Request, context: ContextDep
) -> EventSourceResponse:
    """Have a size go on with a text or a conversation, word by word as it is written.

    Whoever closes the connection has it cancelled. One question is answered at a time; `waiting`
    says how many are before it.
    """
    member = await member_of(context, family, size)
    found = _events(await ask(request, context, member, body))
    return EventSourceResponse(while_allowed(request, found))


async def _events(asking: Asking) -> AsyncIterator[ServerSentEvent]:
    async for event in asking.events():
        yield ServerSentEvent(json.dumps(event), event=event["event"])
