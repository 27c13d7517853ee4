"""Events, and what changed by them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. Ids increase in the order in which changes became visible."""

    id: int
    time: float
    family: str | None
    student: str | None
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Changes:
    """The newest event, and the ids of families and keys of students that changed before it."""

    newest: int
    families: frozenset[str] = frozenset()
    students: frozenset[str] = frozenset()
