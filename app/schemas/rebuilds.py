"""Rebuilds: what was looked at of a family, and what was found."""

from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer, Redact, fields_of
from boomerang.catalog.records.rebuilds import Item, Kind, Rebuild
from boomerang.catalog.records.states import Fact

EXAMPLE: dict[str, Any] = {
    "id": 7, "family": "0f3c9a7be214", "force": False, "state": "failed",
    "reason": "not whole: repository me/Qwen3-4B-Base-2.91B", "created": 1767225600.0,
    "started": 1767225601.0, "finished": 1767225900.0,
    "report": {
        "looked": {"teachers": 1, "students": 1, "members": 29, "folders": 1, "repositories": 1,
                   "bytes": 15_923_004_116},
        "broken": [{
            "kind": "repository", "name": "me/Qwen3-4B-Base-2.91B",
            "found": "it was made private, and was to be public",
            "reason": "ask for its publication again where it is wanted",
        }],
        "mended": [{"kind": "folder", "name": "3.5B", "found": "config.json is missing",
                    "reason": "built again"}],
        "unseen": [], "notes": [],
    },
}  # fmt: skip


class ItemAnswer(Answer):
    """One thing that a rebuild looked at."""

    kind: Kind
    name: str = Field(description="a size, a repository, a student's key, what was asked for")
    found: str | None = Field(description="what was wrong with it")
    reason: str | None = Field(description="why it is so still, or what was done")


class LookedAnswer(Answer):
    """How many things were looked at, and how many bytes were read of them."""

    teachers: int
    students: int
    members: int = Field(description="whose tensors were compared with the model, by headers")
    folders: int = Field(description="of members that are built")
    repositories: int = Field(description="by their tree; nothing of them is downloaded")
    bytes: int


class ReportAnswer(Answer):
    """What a rebuild found, so far."""

    looked: LookedAnswer
    broken: list[ItemAnswer] = Field(description="and not mended (yet)")
    mended: list[ItemAnswer]
    unseen: list[ItemAnswer] = Field(description="what could not be looked at")
    notes: list[ItemAnswer] = Field(description="what is whole, and of which there is more to say")


class RebuildAnswer(Answer):
    """A rebuild: `yes` where everything is whole at its end."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: int
    family: str
    force: bool
    state: Fact
    reason: str | None
    created: float
    started: float | None
    finished: float | None
    report: ReportAnswer


class RebuildsAnswer(Answer):
    """Rebuilds of a family, newest first."""

    rebuilds: list[RebuildAnswer]


class EveryRebuildAnswer(Answer):
    """The rebuild of every family; `waiting` are those whose files are still being hashed."""

    rebuilds: list[RebuildAnswer]
    waiting: list[str]


_OWN = tuple(name for name in RebuildAnswer.model_fields if name != "report")
_COUNTED: dict[str, Kind] = {
    "teachers": "teacher", "students": "student", "members": "member", "folders": "folder",
    "repositories": "repository",
}  # fmt: skip


def rebuild_json(rebuild: Rebuild, redact: Redact) -> dict[str, Any]:
    """A rebuild with what it found so far."""
    items = list(rebuild.items.values())
    seen = [item for item in items if item.state != "unseen"]
    looked = {name: sum(one.kind == kind for one in seen) for name, kind in _COUNTED.items()}
    report = {
        "looked": looked | {"bytes": sum(item.bytes for item in items)},
        **{
            state: _listed(item for item in items if item.state == state)
            for state in ("broken", "mended", "unseen")
        },
        "notes": _listed(item for item in items if item.state == "whole" and item.reason),
    }
    found: dict[str, Any] = redact({**fields_of(rebuild, _OWN), "report": report})
    return found


def _listed(items: Iterable[Item]) -> list[dict[str, Any]]:
    return [fields_of(item, tuple(ItemAnswer.model_fields)) for item in items]
