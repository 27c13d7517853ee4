"""Families whose files are not hashed yet."""

from dataclasses import dataclass
from typing import Any

from boomerang.catalog.records.states import Keying


@dataclass(frozen=True, kw_only=True)
class Provisional:
    """A family whose files are not hashed yet: `plan` is what it will be, as far as is known.

    `became` is the id of the family that it is by now; `done` and `total` are bytes hashed.
    """

    id: str
    became: str | None
    name: str
    plan: dict[str, Any]
    asked: tuple[dict[str, Any], ...]
    requests: tuple[dict[str, Any], ...]
    state: Keying
    reason: str | None
    done: int
    total: int
    created: float
    updated: float
