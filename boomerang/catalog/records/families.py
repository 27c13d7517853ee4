"""Families, with all that they have: members, requests, publications and names.

Families are called `Qwen3-4B-Base`, and their repositories `boomerang/Qwen3-4B-Base-2.91B`. The
first family with a name has the plain one; a later one of another teacher takes the teacher's
organisation into its name, a later one of the same teacher the start of its id. A name is given
once and kept: a family that goes renames no other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from boomerang.catalog.records.states import Fact, Keying, Next
from boomerang.catalog.records.students import NewStudent, Student, digest_of
from boomerang.family.order_forms import PatchOrder
from boomerang.hub.rights import Gate


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

    `agreement`, `acceptance`, `drafted` and `by_position` are those of quality.measure.Likeness;
    one of `by_position` is None where it is not finite. `errors` has the standard errors of
    perplexities and KLs by name, and over how many `windows` of how many `tokens` in all.
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
    agreement: float | None
    acceptance: float | None
    drafted: float | None
    by_position: tuple[float | None, ...] | None
    errors: dict[str, float | None] | None
    generation: dict[str, float] | None
    flags: tuple[str, ...] | None
    tasks: dict[str, Any] | None
    repo: str | None
    commit: str | None
    made_of: str | None
    updated: float


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


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A family: a teacher at one commit, a student, an order.

    `source` is the teacher's folder, or None on the Hub; `order` is a name or the long student
    layers in patch order, separated by commas; `tasks` are those of the evaluation harness that
    are run, each with the number of its examples (None: all). `about` is what the teacher's card
    says (hub.about.About), None where nobody kept that; `shape` is what of the teacher decides how
    much memory its members take (family.memory.Memory), None alike.
    """

    name: str
    teacher: str
    revision: str | None
    commit: str
    source: str | None
    student: str
    order: str
    request: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    gated: bool = False
    private: bool = False
    published_repo: str | None = None
    tasks: dict[str, int | None] | None = None
    about: dict[str, Any] | None = None
    shape: dict[str, Any] | None = None


class NewFamily(_Asked):
    """A family as it is asked for."""

    @property
    def id(self) -> str:
        """12 hex digits: the same request names the same family."""
        return digest_of(self.teacher, self.commit, self.student, self.order)[:12]


@dataclass(frozen=True, kw_only=True)
class Family(_Asked):
    """A family as the catalog knows it; `patch_order` is None until there is one.

    `settled` says that its measuring is over, whatever came of it. `replaced` has the sizes, with
    their parameters, that its ladder had until the layers its student keeps were measured, and has
    no more. `outdated` is a commit of its teacher that came later.
    """

    id: str
    patch_order: PatchOrder | None
    chosen: str | None
    measuring: Fact
    settled: bool
    measuring_reason: str | None
    cancel: bool | None
    replaced: dict[str, int] | None
    outdated: str | None
    created: float
    updated: float


_MADE_BY = ("student", "kept", "map", "order", "recipe", "data", "base", "heal")
"""What of a request makes its family another, beside the teacher."""


def successor(family: Family, others: Iterable[Family]) -> str | None:
    """The id of the family, asked alike, of the commit that outdates one; None without one."""

    def alike(other: Family) -> bool:
        same = (other.teacher, other.commit) == (family.teacher, family.outdated)
        return same and all(other.request.get(n) == family.request.get(n) for n in _MADE_BY)

    return next((other.id for other in others if alike(other)), None)


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request turned into the records that the catalog keeps.

    `notify` is an address that is told what becomes of the family, `owner` the key that asked, and
    `most` how many new families it may ask for in a day (0: any number; None: it is not counted).
    """

    family: NewFamily
    student: NewStudent
    members: tuple[NewMember, ...]
    requests: tuple[NewRequest, ...]
    notify: str | None = None
    owner: str | None = None
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class Created:
    """What a request led to: `created` by this call, and the job this caller must send."""

    family: Family
    student: Student
    created: bool
    next: Next | None


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a repository of the Hub holds: of which family, who sees it, and the card's sha256.

    `made_of` stands for the bytes of the student, `commit` is the one it was published with, and
    `files` are the sha256 of each of its files then; None where that is not known. `gated` is how
    readers are let in, `credential` the id of the requester's token that published it.
    """

    repo: str
    family: str
    private: bool
    card: str
    made_of: str | None = None
    commit: str | None = None
    files: dict[str, str] | None = None
    gated: Gate | None = None
    credential: str | None = None


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A member at a commit: its family, the name it had, its card, and `facts` of its record.

    The weights of a member are its teacher's and its student's, but its card changes with what is
    measured. What a commit names can be written again from this and the two models.
    """

    commit: str
    family: str
    repo: str
    card: str
    facts: dict[str, Any]


NAMESPACE = "boomerang"


def possible_names(name: str, teacher: str, id_: str) -> tuple[str, ...]:
    """The names that a new family may get, the first that is free."""
    return name, teacher.replace("/", "-"), f"{name}-{id_[:6]}", f"{name}-{id_}"


def family_name(name: str, teacher: str, id_: str, held: Mapping[str, str]) -> str:
    """The name of a new family; `held` has the teachers of the families whose names are given."""
    own, owned, *numbered, last = possible_names(name, teacher, id_)
    tries = [own] if held.get(own, teacher) == teacher else [own, owned]
    return next((one for one in (*tries, *numbered) if one not in held), last)


def repo_id(name: str, member: Member) -> str:
    """The repository under which a member is served."""
    return f"{NAMESPACE}/{name}-{member.size}"
