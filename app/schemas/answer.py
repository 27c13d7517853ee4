"""What the models of all answers share, and what the service says of itself, errors and events.

They describe what is sent; nothing is sent by them.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Redact = Callable[[Any], Any]
"""Takes this machine's folders out of what records say; addresses of ours come after it."""

Figure = Annotated[
    float | Literal["inf", "-inf", "nan"],
    Field(description="a number, or its name where JSON has none"),
]


class Answer(BaseModel):
    """An object with these fields and no others; built when the description is asked for."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @classmethod
    def examples(cls) -> dict[str, Any]:
        """What its schema says of examples."""
        extra = cls.model_config.get("json_schema_extra")
        return extra if isinstance(extra, dict) else {}


def fields_of(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those fields of a record that clients see."""
    return {name: getattr(record, name) for name in names}


class Problem(Answer):
    """RFC 9457: every error but those that the Hub's client reads."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "type": "urn:boomerang:size-not-found", "title": "No such size", "status": 404,
        "detail": "There is no size '2.8B'.", "value": "2.8B", "fix": "Sizes: 2.3B, 2.9B, 3.5B.",
    }]})  # fmt: skip

    type: str = Field(description="a name for the kind of error, urn:boomerang:…")
    title: str
    status: int
    detail: str
    value: Any = Field(description="what of the request it is about, if it is about that")
    fix: str = Field(description="what helps")


class OpenAIError(Answer):
    """Every error below /v1, as OpenAI's clients read it."""

    class Error(Answer):
        """What went wrong, and what helps."""

        message: str
        type: str
        param: Any = Field(description="which field, or what of it, if it is about one")
        code: str

    error: Error


class PartAnswer(Answer):
    """One thing that the service needs."""

    name: str = Field(description="catalog, queue, workers, home, disk or hub")
    state: Literal["ok", "warn", "fail"] = Field(
        description="`fail` keeps the service from answering; what has `warn` it does without"
    )
    said: str = Field(description="what is wrong")
    fix: str = Field(description="what helps")


class ReadyAnswer(Answer):
    """The service can answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"parts": [
        {"name": "queue", "state": "ok", "said": "", "fix": ""},
        {"name": "workers", "state": "warn", "said": "nobody listens to distill",
         "fix": "Start workers: boomerang worker."},
    ]}]})  # fmt: skip

    parts: list[PartAnswer]


class HookAnswer(Answer):
    """What a teacher's new commit led to."""

    model_config = ConfigDict(json_schema_extra={"examples": [
        {"outdated": ["0f3c9a7be214"], "rebuilt": ["0f3c9a7be214"], "ignored": []},
        {"outdated": [], "rebuilt": [], "ignored": ["No family follows refs/pr/1 of a/b."]},
    ]})  # fmt: skip

    outdated: list[str] = Field(description="ids of the families that it outdates")
    rebuilt: list[str] = Field(description="those of them that are made anew at that commit")
    ignored: list[str] = Field(description="why the rest of what was told changes nothing")


class EventData(Answer):
    """The data of one event; beside these fields it has those of its kind."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [{
        "event": "progress", "time": 1767226300.0, "family": None, "student": "5d" * 16,
        "step": 120, "loss": 2.31,
    }]})  # fmt: skip

    event: str = Field(description="its kind, as the event is called")
    time: float
    family: str | None
    student: str | None
