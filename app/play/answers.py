"""An answer's events in the shapes that OpenAI's clients read: whole, or piece by piece."""

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from sse_starlette import ServerSentEvent

from app.errors import openai_error, problem
from app.schemas.play import usage
from app.tried import nobody, while_there
from boomerang.service.playing.asking import Asking, Event

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of completion is called, and where its text stands."""

    prefix: str
    object: str
    chunk: str
    whole: Callable[[str], Json]
    piece: Callable[[str | None], Json]
    opening: Json | None = None

    def of(self, id_: str, model: str) -> "Shaped":
        """The answer of one question."""
        return Shaped(self, f"{self.prefix}-{id_}", model, int(time.time()))


TEXT = Shape(
    "cmpl",
    "text_completion",
    "text_completion",
    lambda text: {"text": text},
    lambda text: {"text": text or ""},
)
CHAT = Shape(
    "chatcmpl",
    "chat.completion",
    "chat.completion.chunk",
    lambda text: {"message": {"role": "assistant", "content": text, "refusal": None}},
    lambda text: {"delta": {} if text is None else {"content": text}},
    {"delta": {"role": "assistant", "content": ""}},
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """The answer of one question, in its shape."""

    shape: Shape
    id: str
    model: str
    created: int

    def body(self, text: str, done: Event) -> Json:
        """The whole answer."""
        said = self.shape.whole(text)
        return self._named(self.shape.object, [_choice(said, _finish(done))], usage(done))

    def piece(self, said: Json, finish: str | None, *, usage: bool) -> Json:
        """A piece; where usage is asked for, all but the last say that there is none yet."""
        found = self._named(self.shape.chunk, [_choice(said, finish)], None)
        if not usage:
            del found["usage"]
        return found

    def used(self, done: Event) -> Json:
        """The piece that says how many tokens there were."""
        return self._named(self.shape.chunk, [], usage(done))

    def _named(self, kind: str, choices: list[Json], used: Json | None) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model,
                "choices": choices, "usage": used}  # fmt: skip


def _choice(said: Json, finish: str | None) -> Json:
    return {"index": 0, **said, "logprobs": None, "finish_reason": finish}


def _finish(done: Event) -> str:
    return "stop" if done["finish_reason"] == "stop" else "length"


async def whole(request: Request, asking: Asking, answer: Shaped) -> Response:
    """The answer once it is written; nothing more is written once its client is gone."""

    async def read() -> Response:
        text = ""
        async for event in asking.events():
            if event["event"] == "text":
                text += event["text"]
            elif event["event"] == "failed":
                return error_of(event)
            elif event["event"] == "done":
                return JSONResponse(answer.body(text, event))
        return nobody()

    return await while_there(request, read)


async def pieces(
    request: Request, asking: Asking, answer: Shaped, *, usage: bool
) -> AsyncIterator[ServerSentEvent] | Response:
    """The answer piece by piece; an error of its own status where it is not even begun."""
    events = asking.events()

    async def begin() -> Response | None:
        async for event in events:
            if event["event"] == "failed":
                return error_of(event)
            if event["event"] == "begun":
                return None
        return nobody()

    refused = await while_there(request, begin)
    return refused if refused is not None else _written(events, answer, usage)


async def _written(
    events: AsyncIterator[Event], answer: Shaped, usage: bool
) -> AsyncIterator[ServerSentEvent]:
    if answer.shape.opening is not None:
        yield _data(answer.piece(answer.shape.opening, None, usage=usage))
    async for event in events:
        if event["event"] == "text":
            yield _data(answer.piece(answer.shape.piece(event["text"]), None, usage=usage))
        elif event["event"] == "failed":
            yield _data(json.loads(bytes(error_of(event).body)))
            return
        elif event["event"] == "done":
            last = answer.shape.piece(None)
            yield _data(answer.piece(last, _finish(event), usage=usage))
            if usage:
                yield _data(answer.used(event))
    yield ServerSentEvent("[DONE]")


def _data(value: Json) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(value))


def error_of(event: Event) -> JSONResponse:
    """The error that an answer ended with; what may be better in a moment is no fault of asking."""
    status = 503 if event.get("again") else 400
    return openai_error(
        problem(status, "play", "Not answered", f"{event['reason']}.", fix=str(event["fix"]))
    )
