"""The JSON that answers are made of."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any

from pydantic import BaseModel, ConfigDict

from boomerang.catalog.names import repo_id
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.members import Member
from boomerang.catalog.records.provisional import Provisional
from boomerang.catalog.records.requests import Request
from boomerang.catalog.records.students import Student


class RebuildRequest(BaseModel):
    """`POST /families/{id}/rebuild`: `force` makes a new generation beside the old."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False


_OF_FAMILY = {"source", "request", "student", "cancel"}
_OF_STUDENT = {
    "location", "teacher_source", "data", "cancel", "attempts", "micro_batch", "files",
}  # fmt: skip
"""What clients do not see: folders of this machine, and what only workers need."""


def student_json(student: Student) -> dict[str, Any]:
    """A student as clients see it: no folder of this machine."""
    return {key: value for key, value in asdict(student).items() if key not in _OF_STUDENT}


Redact = Callable[[Any], Any]
"""Takes this machine's folders out of what records say; addresses of ours come after it."""


def member_json(member: Member, name: str, redact: Redact) -> dict[str, Any]:
    """A member with the addresses under which it is had. `name` is its family's."""
    return {
        **redact(asdict(member)),
        "url": f"/models/{member.size}?family={member.family}",
        "hub_id": repo_id(name, member),
    }


def family_json(
    family: Family,
    student: Student,
    members: Sequence[Member],
    requests: Sequence[Request],
    name: str,
    redact: Redact,
    **more: Any,
) -> dict[str, Any]:
    """A family with its student, its whole ladder, what was asked of it and `more`."""
    own = {key: value for key, value in asdict(family).items() if key not in _OF_FAMILY}
    asked = [{k: v for k, v in asdict(request).items() if k != "family"} for request in requests]
    return {
        **redact(own | {"student": student_json(student), "wants": asked} | more),
        "members": [member_json(member, name, redact) for member in members],
    }


def provisional_json(waiting: Provisional, redact: Redact, **more: Any) -> dict[str, Any]:
    """A family whose files are being hashed, in the shape of any other, and `more`.

    What its content will name has no name yet: commit, key and digests are None.
    """
    known = waiting.plan
    facts = {"state": str(waiting.state), "reason": waiting.reason, "created": waiting.created,
             "updated": waiting.updated}  # fmt: skip
    student = _blank(Student) | known["student"] | facts
    student |= {"step": 0, "steps": 0, "tokens": 0, "generation": 1}
    own = _blank(Family) | known["family"] | {"id": waiting.id, "measuring": "no"} | facts
    no = dict.fromkeys(("built", "measured", "published"), "no")
    members = [
        _unnamed(_blank(Member) | member | no | {"family": waiting.id, "updated": waiting.updated})
        | {"url": f"/models/{member['size']}?family={waiting.id}", "hub_id": None}
        for member in known["members"]
    ]
    return {
        **_unnamed({key: own[key] for key in _blank(Family) if key not in _OF_FAMILY}),
        "student": redact(_unnamed({k: v for k, v in student.items() if k not in _OF_STUDENT})),
        "members": members,
        "wants": [
            {"id": None, **request, "state": "no", "reason": None} for request in waiting.requests
        ],
        "provisional": True,
        "hashing": {"done": waiting.done, "total": waiting.total},
        **redact(more),
    }


def _blank(kind: type) -> dict[str, Any]:
    return dict.fromkeys(field.name for field in fields(kind))


def _unnamed(values: dict[str, Any]) -> dict[str, Any]:
    names = ("commit", "teacher_commit", "key", "digest")
    return values | {name: values[name] or None for name in names if name in values}
