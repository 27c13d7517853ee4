"""What happened to a family: the curve of its distillation, and its log."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated, Any

from annotated_types import Len
from pydantic import ConfigDict, Field

from app.schemas.answer import Answer, Figure, Redact
from boomerang.catalog.records.states import Event
from boomerang.catalog.records.words import Tone, in_words, tone
from boomerang.catalog.students.history import Curve, CurveMetric


class CurveAnswer(Answer):
    """How a figure of a distillation went, thinned to some 300 points however long it was."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "student": "5d" * 16, "metric": "loss", "step": 120, "steps": 500,
        "points": [[2, 4.81], [60, 2.94], [120, 2.31]],
    }]})  # fmt: skip

    student: str | None = Field(description="its key; null while files are being hashed")
    metric: CurveMetric
    step: int = Field(description="that it is at")
    steps: int = Field(description="that it will have had")
    points: list[Annotated[list[Figure], Len(2, 2)]] = Field(
        description="pairs of step and value, without what going back to a checkpoint undid"
    )


class EntryAnswer(Answer):
    """One thing that happened."""

    id: int = Field(description="of its event")
    time: float
    kind: str = Field(description="of its event")
    words: str
    tone: Tone = Field(description="whether that is good news, bad news or neither")


class LogAnswer(Answer):
    """What happened to a family and its student, newest first, without each step's progress."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "entries": [{"id": 812, "time": 1767226300.0, "kind": "measuring",
                     "words": "Measuring is done", "tone": "good"}],
        "before": None,
    }]})  # fmt: skip

    entries: list[EntryAnswer]
    before: int | None = Field(description="what to ask for as `?before=` to have what came before")


def curve_json(curve: Curve) -> dict[str, Any]:
    """A curve, its points as pairs."""
    return {**vars(curve), "points": [list(point) for point in curve.points]}


def log_json(events: Sequence[Event], more: bool, redact: Redact) -> dict[str, Any]:
    """A page of a log, with where the next one begins."""
    entries = [
        {"id": one.id, "time": one.time, "kind": one.kind, "words": in_words(one, before),
         "tone": tone(one)}
        for one, before in zip_longest(events, events[1:])
    ]  # fmt: skip
    return {"entries": redact(entries), "before": events[-1].id if more else None}
