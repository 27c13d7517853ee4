"""The JSON that answers are made of."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from boomerang.service.names import repo_id
from boomerang.service.records import Family, Member, Student, Want


class RebuildRequest(BaseModel):
    """`POST /families/{id}/rebuild`: `force` makes a new generation beside the old."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False


def student_json(student: Student) -> dict[str, Any]:
    """A student as clients see it: no folder of this machine."""
    hidden = {"location", "teacher_source", "data", "cancel", "attempts", "micro_batch", "files"}
    return {key: value for key, value in asdict(student).items() if key not in hidden}


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
    wants: Sequence[Want],
    name: str,
    redact: Redact,
    **more: Any,
) -> dict[str, Any]:
    """A family with its student, its whole ladder, what was asked of it and `more`."""
    hidden = {"source", "request", "student", "cancel"}
    own = {key: value for key, value in asdict(family).items() if key not in hidden}
    asked = [{k: v for k, v in asdict(want).items() if k != "family"} for want in wants]
    return {
        **redact(own | {"student": student_json(student), "wants": asked} | more),
        "members": [member_json(member, name, redact) for member in members],
    }
