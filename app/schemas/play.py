"""Trying a size: our own events, and what OpenAI's clients send and get."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.answer import Answer


class PlayEvent(Answer):
    """One event of an answer.

    `waiting` (place: how many are before it), `loading` (its pair is brought into memory), `begun`
    (prompt_tokens, switch_ms), `text` (text, tokens so far), and at the end `done` (finish_reason,
    prompt_tokens, completion_tokens, seconds, tokens_per_s) or `failed` (reason, fix).
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [
        {"event": "waiting", "place": 2}, {"event": "loading"},
        {"event": "begun", "prompt_tokens": 4, "switch_ms": 1.8},
        {"event": "text", "text": " God", "tokens": 1},
        {"event": "done", "finish_reason": "length", "prompt_tokens": 4, "completion_tokens": 64,
         "seconds": 1.6, "tokens_per_s": 40.0},
        {"event": "failed", "reason": "the worker was lost", "fix": "Ask again.", "again": True},
    ]})  # fmt: skip

    event: Literal["waiting", "loading", "begun", "text", "done", "failed"]


class PlayStateAnswer(Answer):
    """Whether sizes can be tried, and what may be asked."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "on": True, "worker": True, "waiting": 1, "most_waiting": 16, "most_tokens": 512,
        "most_characters": 32_768,
    }]})  # fmt: skip

    on: bool = Field(description="whether it is switched on: BOOMERANG_PLAY")
    worker: bool = Field(description="whether a worker is there that would answer")
    waiting: int = Field(description="questions that are not answered yet")
    most_waiting: int
    most_tokens: int = Field(description="of an answer")
    most_characters: int = Field(description="of a prompt, or of all messages together")


class StreamOptions(BaseModel):
    """How a stream ends."""

    include_usage: bool = False


class _Asked(BaseModel):
    """What both kinds of completions take; what would change the answer and is not done is refused.

    Other fields are left alone, as OpenAI's clients send some that matter elsewhere only.
    """

    model_config = ConfigDict(extra="allow")

    model: str = Field(max_length=200, description="a size, FAMILY:SIZE, or an id of /v1/models")
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, description="1; of greedy text there is no other")
    draft: bool = Field(default=False, description="have the student draft; ours alone")


class CompletionRequest(_Asked):
    """As POST /v1/completions of OpenAI takes it."""

    prompt: str | list[str]


class TextPart(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="allow")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]


class ChatRequest(_Asked):
    """As POST /v1/chat/completions of OpenAI takes it."""

    messages: list[ChatMessage]
    max_completion_tokens: int | None = Field(default=None, ge=1)


class Usage(Answer):
    """Tokens that were read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


Finish = Literal["stop", "length"]


class TextChoice(Answer):
    """The text, which is the only choice."""

    index: Literal[0]
    text: str
    logprobs: None
    finish_reason: Finish | None


class CompletionAnswer(Answer):
    """A text that goes on; in a stream one for each piece."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "id": "cmpl-0f3c", "object": "text_completion", "created": 1767225600,
        "model": "boomerang/Qwen3-4B-Base-2.9B",
        "choices": [{"index": 0, "text": " God", "logprobs": None, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }]})  # fmt: skip

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None


class ChatSaid(Answer):
    """What the assistant says."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Answer):
    """The answer, which is the only choice."""

    index: Literal[0]
    message: ChatSaid
    logprobs: None
    finish_reason: Finish


class ChatAnswer(Answer):
    """What the assistant says next; a stream has `chat.completion.chunk` with its pieces."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "id": "chatcmpl-0f3c", "object": "chat.completion", "created": 1767225600,
        "model": "boomerang/Qwen3-4B-2.9B",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "God.",
                     "refusal": None}, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }]})  # fmt: skip

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class PlayedAnswer(Answer):
    """One size as OpenAI's clients list it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "id": "boomerang/Qwen3-4B-Base-2.9B", "object": "model", "created": 1767225600,
        "owned_by": "boomerang", "family": "0f3c9a7be214", "size": "2.9B",
        "parameters": 2_912_438_272,
    }]})  # fmt: skip

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    family: str
    size: str
    parameters: int


class PlayedListAnswer(Answer):
    """Sizes that can be tried; where there are more, the next come with `?after=` the last id."""

    object: Literal["list"]
    data: list[PlayedAnswer]
    has_more: bool


def usage(done: dict[str, Any]) -> dict[str, int]:
    """The tokens of an answer, from its last event."""
    read, written = int(done["prompt_tokens"]), int(done["completion_tokens"])
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
