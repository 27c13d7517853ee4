"""Requests upon a family."""

from dataclasses import dataclass, field
from typing import Any, Literal

from boomerang.catalog.records.states import Fact


@dataclass(frozen=True, kw_only=True)
class NewRequest:
    """Something to do once the family is settled: `what` is a size, a budget or `*`."""

    kind: Literal["build", "publish"]
    what: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Request(NewRequest):
    """A request that is kept until its members are built or published."""

    id: int
    family: str
    state: Fact
    reason: str | None
