"""The interface of OpenAI's clients: `/v1/models`, `/v1/completions`, `/v1/chat/completions`."""

from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import EventSourceResponse

from app.context import Context, ContextDep
from app.openapi import Responses, problems
from app.play.answers import CHAT, TEXT, Shape, pieces, whole
from app.play.wanted import question_of
from app.schemas.play import (
    ChatAnswer,
    ChatRequest,
    CompletionAnswer,
    CompletionRequest,
    PlayedAnswer,
    PlayedListAnswer,
)
from app.tried import ask, named
from boomerang.catalog.records.families import Member, repo_id
from boomerang.catalog.records.states import StudentState
from boomerang.errors import SizeNotFound

router = APIRouter(prefix="/v1", tags=["openai"])

MOST_LISTED = 1000
_ERRORS = problems(400, 403, 404, 409, 429, 503)
_CHUNKS: Responses = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


@router.get("/models", response_model=PlayedListAnswer, responses=_ERRORS)
async def models(context: ContextDep, limit: Limit = MOST_LISTED, after: str = "") -> Response:
    """Sizes that can be tried, those of the newest family first; `after` is the last id before."""
    found, more = await anyio.to_thread.run_sync(_listed, context, limit, after)
    return JSONResponse({"object": "list", "data": found, "has_more": more})


@router.get("/models/{model:path}", response_model=PlayedAnswer, responses=_ERRORS)
async def model(model: str, context: ContextDep) -> Response:
    """One size, by any name that a completion takes."""
    context.playing.check_on()
    member, name = await named(context, model)
    return JSONResponse(_described(member, name))


@router.post("/completions", response_model=CompletionAnswer, responses=_CHUNKS | _ERRORS)
async def completions(body: CompletionRequest, request: Request, context: ContextDep) -> Response:
    """Go on with a text: whole, or piece by piece with `stream`."""
    return await _complete(body, request, context, TEXT)


@router.post("/chat/completions", response_model=ChatAnswer, responses=_CHUNKS | _ERRORS)
async def chat(body: ChatRequest, request: Request, context: ContextDep) -> Response:
    """Answer a conversation: whole, or piece by piece with `stream`."""
    return await _complete(body, request, context, CHAT)


async def _complete(
    body: CompletionRequest | ChatRequest, request: Request, context: Context, shape: Shape
) -> Response:
    question = question_of(body)
    member, name = await named(context, body.model)
    asking = await ask(request, context, member, question)
    answer = shape.of(asking.id, repo_id(name, member))
    if not body.stream:
        return await whole(request, asking, answer)
    told = bool(body.stream_options and body.stream_options.include_usage)
    begun = await pieces(request, asking, answer, usage=told)
    return begun if isinstance(begun, Response) else EventSourceResponse(begun)


def _listed(context: Context, limit: int, after: str) -> tuple[list[dict[str, Any]], bool]:
    """So many sizes after one, and whether there are more. Raises PlayOff, SizeNotFound."""
    context.playing.check_on()
    snapshot = context.cache.now()
    names, ladders = snapshot.names(), snapshot.ladders()
    ready = {one.key for one in context.catalog.students() if one.state is StudentState.READY}
    found: list[dict[str, Any]] = []
    begun = not after
    for family in snapshot.families():
        if family.student not in ready or family.id not in names:
            continue
        for member in ladders[family.id]:
            if begun and len(found) == limit:
                return found, True
            if begun:
                found.append(_described(member, names[family.id]))
            begun = begun or repo_id(names[family.id], member) == after
    if not begun:
        raise SizeNotFound(f"There is no model {after!r}.", value=after, fix="Leave `after` out.")
    return found, False


def _described(member: Member, name: str) -> dict[str, Any]:
    return {
        "id": repo_id(name, member),
        "object": "model",
        "created": int(member.updated),
        "owned_by": "boomerang",
        "family": member.family,
        "size": member.size,
        "parameters": member.parameters,
    }
