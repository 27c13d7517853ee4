"""Rebuilds: what is asked to be looked at and mended, and what was found."""

from dataclasses import dataclass
from typing import Any, Literal

from boomerang.catalog.records.families import Created
from boomerang.catalog.records.states import Fact

Kind = Literal["teacher", "student", "member", "folder", "repository", "measuring", "request"]
Condition = Literal["whole", "mended", "broken", "unseen"]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that a rebuild looked at: `found` is what was wrong with it, if anything.

    `reason` says why it is still broken or could not be looked at, or what was done. A thing that
    is broken without a reason is still to be mended. `bytes` are those that were read here.
    """

    kind: Kind
    name: str
    state: Condition
    found: str | None = None
    reason: str | None = None
    bytes: int = 0

    @property
    def key(self) -> str:
        """What it is, once in a report."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class Rebuild:
    """A rebuild of a family, `no → running → yes | failed`: yes where everything is whole.

    `report` has what was looked at so far, as JSON of `Item`, by its key.
    """

    id: int
    family: str
    force: bool
    state: Fact
    reason: str | None
    report: dict[str, dict[str, Any]]
    created: float
    started: float | None
    finished: float | None

    @property
    def items(self) -> dict[str, Item]:
        """What was looked at so far, by key, in that order."""
        return {key: Item(**values) for key, values in self.report.items()}

    @property
    def open(self) -> bool:
        """Whether it goes on."""
        return self.state in (Fact.NO, Fact.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Rebuilt(Created):
    """What asking for a rebuild led to; `event` is the last event before it, `rebuild` its id."""

    event: int
    rebuild: int
