"""Members: the sizes of a family, their digests, and what was measured of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boomerang.catalog.records.states import Fact


@dataclass(frozen=True, kw_only=True)
class NewMember:
    """One rung of a ladder: `k` patched layers, `size` its name, `code` its composition."""

    k: int
    size: str
    code: str
    digest: str
    parameters: int
    bytes: int
    layers: int


@dataclass(frozen=True, kw_only=True)
class Member(NewMember):
    """A member with its three independent facts and what was measured (held-out texts).

    `tasks` has the results of the evaluation harness by name (quality.tasks.results.Result).
    """

    family: str
    built: Fact
    built_reason: str | None
    measured: Fact
    measured_reason: str | None
    published: Fact
    published_reason: str | None
    perplexity: float | None
    kl: float | None
    naive_perplexity: float | None
    naive_kl: float | None
    generation: dict[str, float] | None
    flags: tuple[str, ...] | None
    tasks: dict[str, Any] | None
    repo: str | None
    commit: str | None
    made_of: str | None
    updated: float


def digest_of(*parts: object) -> str:
    """64 hex digits over a list of JSON values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def has_result(
    tasks: Mapping[str, Any] | None, name: str, limit: int | None, harness: str | None = None
) -> bool:
    """Whether a member's results have one of a task that did not fail, of so many examples.

    With `harness` it must be of that version of the evaluation harness.
    """
    found = (tasks or {}).get(name)
    if found is None or found["failed"] or found["limit"] != limit:
        return False
    return harness is None or found["harness"] == harness
