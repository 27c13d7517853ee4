"""Requests upon a family, and events."""

from dataclasses import dataclass, field
from typing import Any, Literal

from boomerang.catalog.records.states import Fact


@dataclass(frozen=True, kw_only=True)
class NewWant:
    """Something to do once the family is settled: `what` is a size, a budget or `*`."""

    kind: Literal["build", "publish"]
    what: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Want(NewWant):
    """A request that is kept until its members are built or published."""

    id: int
    family: str
    state: Fact
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Ids increase in the order in which changes became visible."""

    id: int
    time: float
    family: str | None
    student: str | None
    kind: str
    payload: dict[str, Any]
