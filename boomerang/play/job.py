"""What the process that tries sizes is given: a pair to hold, then one request after another."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from boomerang.errors import BadRequest
from boomerang.processes.reporting import JobFile

CONTEXT = 2048
"""Tokens of prompt and answer together, unless told otherwise."""
MOST_STOPS = 16


class PlayJob(JobFile):
    """Which pair is held, where and in which dtype (by default as the device multiplies).

    `kept` are the teacher's layers that a student keeps which does not say so itself; `context`
    bounds prompt and answer together, in tokens.
    """

    title: ClassVar[str] = "job of trying sizes"

    teacher: Path
    student: Path
    kept: list[int] | None = None
    device: str | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    context: Annotated[int, Field(ge=2)] = CONTEXT


class Message(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Annotated[str, Field(max_length=40)]
    content: str


class Ask(BaseModel):
    """One request: a member's `code`, what to continue or to answer, and how.

    Temperature 0 takes the most likely token each time. With `draft` the student proposes tokens
    that the member then checks, many at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    code: str
    prompt: str | None = None
    messages: list[Message] | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MOST_STOPS)] = []
    draft: bool = False

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("Give either a prompt or messages.")
        return self

    @classmethod
    def read(cls, said: Any) -> Self:
        """A request as JSON has it. Raises BadRequest, naming the field that is wrong."""
        try:
            return cls.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the request"
            raise BadRequest(
                f"{where}: {first['msg']}.", value=where, fix="Correct it and ask again."
            ) from None
