"""Families, with their students, their members, and what was asked of them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.answer import Answer, Figure, Redact, fields_of
from app.schemas.members import MEMBER_EXAMPLE, MemberAnswer, member_json, planned_member_json
from boomerang.catalog.records.families import Family, Member, Provisional, Request
from boomerang.catalog.records.listing import ShownState
from boomerang.catalog.records.states import Fact, Keying, StudentState
from boomerang.catalog.records.students import Origin, Student

STUDENT_EXAMPLE: dict[str, Any] = {
    "key": "5d" * 16, "teacher": "Qwen/Qwen3-4B-Base", "teacher_commit": "906bfd4b4dc7",
    "kept": [0, 1, 2, 3, 5, 7, 34, 35], "layers": 36, "recipe": {"name": "default"},
    "recipe_name": "default", "data_digest": "c1" * 32, "seed": 0, "origin": "distilled",
    "revision_commit": None, "hub_repo": None, "hub_commit": None,
    "state": "distilling", "reason": None, "step": 120, "steps": 500,
    "loss": 2.31, "ce": 2.1, "kl": 0.4, "cosine": 0.02, "tokens": 31_457_280,
    "tokens_per_s": 45_000.0, "eta_s": 2200.0, "generation": 1, "verify": None,
    "map_rule": "divergence", "pinned": True, "map_reason": None,
    "created": 1767225600.0, "started": 1767225610.0, "finished": None, "updated": 1767226300.0,
}  # fmt: skip


class StudentAnswer(Answer):
    """A student and how far its distillation is; no folder of this machine is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [STUDENT_EXAMPLE]})

    key: str | None = Field(description="its name by content; null while files are being hashed")
    teacher: str
    teacher_commit: str | None
    kept: list[int] = Field(description="layers of the teacher that it keeps")
    map_rule: str | None = Field(description="rule by which they are measured, if they are")
    pinned: bool | None = Field(
        description="whether that has been done; they are provisional until"
    )
    map_reason: str | None = Field(description="why they are not those that the rule finds")
    layers: int = Field(description="of the teacher")
    recipe: dict[str, Any] = Field(
        description="its fields; `heal` says which size of which family was trained by itself"
    )
    recipe_name: str
    data_digest: str | None
    seed: int
    origin: Origin
    revision_commit: str | None
    hub_repo: str | None = Field(description="repository of the Hub where it is kept, if it is")
    hub_commit: str | None
    state: StudentState | Keying
    reason: str | None
    step: int
    steps: int
    loss: Figure | None
    ce: Figure | None
    kl: Figure | None
    cosine: Figure | None
    tokens: int
    tokens_per_s: Figure | None
    eta_s: Figure | None
    generation: int
    verify: Figure | None
    created: float
    started: float | None
    finished: float | None
    updated: float


_STUDENT = tuple(StudentAnswer.model_fields)


EXAMPLE: dict[str, Any] = {
    "id": "0f3c9a7be214", "name": "Qwen3-4B-Base", "teacher": "Qwen/Qwen3-4B-Base",
    "revision": None, "commit": "906bfd4b4dc7", "order": "auto", "license": "apache-2.0",
    "gated": False, "private": False, "published_repo": None, "patch_order": None,
    "chosen": None, "measuring": "no", "settled": False, "measuring_reason": None, "tasks": None,
    "outdated": None,
    "created": 1767225600.0, "updated": 1767225600.0, "student": STUDENT_EXAMPLE,
    "ladder": "final", "wants": [{"kind": "build", "what": "2.9B", "options": {}, "id": 1,
                                  "state": "no", "reason": None}],
    "owners": ["ci"], "yours": True,
    "members": [MEMBER_EXAMPLE],
}  # fmt: skip


class RebuildRequest(BaseModel):
    """`POST /families/{id}/rebuild`: `force` makes a new generation beside the old."""

    model_config = ConfigDict(extra="forbid")

    force: bool = False


class LeftAnswer(Answer):
    """What stays of a family that was deleted."""

    repositories: list[str] = Field(description="of the Hub: whoever owns them may delete them")


class RequestAnswer(Answer):
    """What was asked of a family and is done once it can be."""

    kind: Literal["build", "publish"]
    what: str = Field(description="a size, a budget, or * for every size")
    options: dict[str, Any]
    id: int | None
    state: Fact
    reason: str | None


class BoughtAnswer(Answer):
    """What a budget buys."""

    asked: str
    size: str
    parameters: int
    below_by: int = Field(description="parameters that are left of it")


class DistillationAnswer(Answer):
    """What distilling the student takes."""

    steps: int | None
    minutes: float | None
    tokens: int | None
    flops: int | None


class CostAnswer(Answer):
    """What a family costs."""

    distillation: DistillationAnswer | None = Field(description="null for a student there is")
    stored_bytes: int
    sizes: int


class HashingAnswer(Answer):
    """Bytes that are hashed, of all."""

    done: int
    total: int


class FamilyAnswer(Answer):
    """A family with its whole ladder. What its content will name is null until it is hashed."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str
    name: str
    teacher: str
    revision: str | None
    commit: str | None
    order: str
    license: str | None
    gated: bool
    private: bool
    published_repo: str | None
    patch_order: list[int] | list[str] | None
    chosen: str | None
    measuring: Fact
    settled: bool | None
    measuring_reason: str | None
    tasks: dict[str, int | None] | None
    outdated: str | None = Field(description="the commit of its teacher that came after its own")
    created: float
    updated: float
    student: StudentAnswer
    ladder: Literal["provisional", "final"] = Field(
        description="provisional until the layers that the student keeps are measured: then its "
        "sizes may be others, and what was asked by a budget is bought of those"
    )
    wants: list[RequestAnswer]
    owners: list[str] | None = Field(
        description="names of the keys that asked for it and have not let go of it; null for keys "
        "that neither are of them nor have the scope admin"
    )
    yours: bool = Field(description="whether the key that asks is of them; always without keys")
    members: list[MemberAnswer]
    successor: str | None = Field(
        default=None,
        description="only of an outdated one: the family of the newer commit that was asked alike",
    )
    provisional: Literal[True] = Field(default=True, description="only while files are hashed")
    hashing: HashingAnswer | None = Field(default=None, description="only while files are hashed")
    budget: BoughtAnswer | None = Field(default=None, description="only of POST /families")
    cost: CostAnswer | None = Field(default=None, description="only of POST /families")
    event: int = Field(default=0, description="only of a rebuild: the last event before it")
    rebuild: int = Field(default=0, description="only of a rebuild: its number")


class FamiliesAnswer(Answer):
    """Families, newest first: a page, or all, before them those whose files are being hashed."""

    families: list[FamilyAnswer]
    counts: dict[ShownState, int] | None = Field(
        default=None, description="only of a page: families of each state, counted up to 100"
    )
    next: str | None = Field(
        default=None, description="only of a page: the address of the page after it, if any"
    )


_OWN = tuple(FamilyAnswer.model_fields)[: list(FamilyAnswer.model_fields).index("student")]
_REQUEST = tuple(RequestAnswer.model_fields)


def family_json(
    family: Family, student: Student, members: Sequence[Member], requests: Sequence[Request],
    name: str, redact: Redact, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A family with its student, its whole ladder, what was asked of it and `more`."""
    shown = {
        **fields_of(family, _OWN),
        "student": fields_of(student, _STUDENT),
        "ladder": _ladder(provisional=student.provisional),
        "wants": [_want(fields_of(request, _REQUEST)) for request in requests],
    }
    return {
        **redact(shown | more),
        "members": [member_json(member, name, redact) for member in members],
    }


def _want(request: dict[str, Any]) -> dict[str, Any]:
    """A request as it is shown: that it was asked with a token, and not which one."""
    options = {k: v for k, v in request["options"].items() if k != "credential"}
    own = {"own_token": True} if request["options"].get("credential") else {}
    return {**request, "options": options | own}


def _ladder(*, provisional: bool) -> str:
    return "provisional" if provisional else "final"


def provisional_json(waiting: Provisional, redact: Redact, **more: Any) -> dict[str, Any]:
    """A family whose files are being hashed, in the shape of any other, and `more`.

    What its content will name has no name yet: commit, key and digests are None.
    """
    plan, times = waiting.plan, {"created": waiting.created, "updated": waiting.updated}
    own = dict.fromkeys(_OWN) | plan["family"] | {"id": waiting.id, "measuring": "no"} | times
    own["commit"] = own["commit"] or None
    student = dict.fromkeys(_STUDENT) | plan["student"] | times
    student |= {"state": str(waiting.state), "reason": waiting.reason, "generation": 1}
    student |= dict.fromkeys(("step", "steps", "tokens"), 0)
    student |= {"key": None, "teacher_commit": student["teacher_commit"] or None}
    return {
        **{name: own[name] for name in _OWN},
        "student": redact({name: student[name] for name in _STUDENT}),
        "ladder": _ladder(provisional=bool(student["map_rule"]) and not student["pinned"]),
        "members": [
            planned_member_json(member, waiting.id, waiting.updated) for member in plan["members"]
        ],
        "wants": [
            _want({"id": None, **request, "state": "no", "reason": None})
            for request in waiting.requests
        ],
        "provisional": True,
        "hashing": {"done": waiting.done, "total": waiting.total},
        **redact(more),
    }
