"""What may be asked of a size: a text to go on with or a conversation, bounded."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boomerang.errors import BadRequest

MOST_CHARACTERS = 32_768
"""Of a prompt, or of all messages together."""
MOST_MESSAGES = 200
MOST_STOPS = 4
_STOP_CHARACTERS = 100

Text = Annotated[str, Field(max_length=MOST_CHARACTERS)]


class Said(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: Text


class Question(BaseModel):
    """What is asked of a size: `prompt` or `messages`, and how to go on.

    `temperature` 0 takes the likeliest token each time; `draft` has the student draft.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [
            {"prompt": "In the beginning", "max_tokens": 64, "temperature": 0.0},
            {"messages": [{"role": "user", "content": "Who made the heaven?"}], "draft": True},
        ]},
    )  # fmt: skip

    prompt: Text | None = None
    messages: Annotated[tuple[Said, ...], Field(max_length=MOST_MESSAGES)] | None = None
    max_tokens: int | None = Field(default=None, ge=1, description="BOOMERANG_PLAY_TOKENS at most")
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    stop: tuple[Annotated[str, Field(min_length=1, max_length=_STOP_CHARACTERS)], ...] = Field(
        default=(), max_length=MOST_STOPS
    )
    draft: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("a question has a prompt or messages, and not both")
        if not self.prompt and not self.messages:
            raise ValueError("nothing is asked")
        if sum(len(said.content) for said in self.messages or ()) > MOST_CHARACTERS:
            raise ValueError(f"messages have {MOST_CHARACTERS} characters at most")
        return self

    def bounded(self, most: int) -> "Question":
        """The same with a number of tokens that may be written. Raises BadRequest."""
        if self.max_tokens is not None and self.max_tokens > most:
            raise BadRequest(
                f"An answer has at most {most} tokens here.",
                value=self.max_tokens,
                fix="Ask for fewer, or have BOOMERANG_PLAY_TOKENS set.",
            )
        return self.model_copy(update={"max_tokens": self.max_tokens or most})

    def told(self) -> dict[str, Any]:
        """As the player reads it."""
        return self.model_dump(mode="json", exclude_none=True)
