"""Members: the sizes of a family."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from app.schemas.answer import Answer, Figure, Redact, fields_of
from boomerang.catalog.records.families import Member, repo_id
from boomerang.catalog.records.states import Fact

MEMBER_EXAMPLE: dict[str, Any] = {
    "k": 9, "size": "2.9B", "code": "s0-8+t18-35", "digest": "9f" * 32, "parameters": 2_912_438_272,
    "bytes": 5_824_876_544, "layers": 27, "family": "0f3c9a7be214", "built": "yes",
    "built_reason": None, "measured": "yes", "measured_reason": None, "published": "no",
    "published_reason": None, "perplexity": 9.71, "kl": 0.184, "naive_perplexity": 61.2,
    "naive_kl": 2.05, "agreement": 0.78, "acceptance": 0.83, "drafted": 0.79,
    "by_position": [13.1, 10.2, 9.6, 9.4, 9.1, 9.0, 8.9, 8.9],
    "errors": {"perplexity": 0.12, "kl": 0.004, "naive_perplexity": 1.3, "naive_kl": 0.03,
               "windows": 256, "tokens": 65_536},
    "generation": {"agreement": 0.61, "repetition": 0.08, "empty": 0.0, "stopped": 0.875},
    "flags": [], "tasks": None, "repo": None, "commit": None, "made_of": None,
    "updated": 1767225600.0,
    "url": "/models/2.9B?family=0f3c9a7be214", "hub_id": "boomerang/Qwen3-4B-Base-2.9B",
}  # fmt: skip


class MemberAnswer(Answer):
    """One size, with three independent facts about it and what was measured on held-out texts."""

    model_config = ConfigDict(json_schema_extra={"examples": [MEMBER_EXAMPLE]})

    k: int = Field(description="layers of the student that are patched")
    size: str
    code: str = Field(description="which blocks are the teacher's and which the student's")
    digest: str | None = Field(description="null while files are being hashed")
    parameters: int
    bytes: int = Field(description="of its weights")
    layers: int
    family: str
    built: Fact
    built_reason: str | None
    measured: Fact
    measured_reason: str | None
    published: Fact
    published_reason: str | None
    perplexity: Figure | None
    kl: Figure | None = Field(description="to the teacher, in nats a token")
    naive_perplexity: Figure | None = Field(description="of naive pruning to this depth")
    naive_kl: Figure | None
    agreement: Figure | None = Field(
        description="share of tokens whose most likely one is the teacher's; null: not measured"
    )
    acceptance: Figure | None = Field(
        description="share of its tokens that the teacher accepts, were it the draft model"
    )
    drafted: Figure | None = Field(
        description="share of the student's tokens that it accepts, were the student its draft"
    )
    by_position: list[Figure | None] | None = Field(
        description="perplexity in equal parts of a window, from its beginning to its end"
    )
    errors: dict[str, Figure | None] | None = Field(
        description="standard errors of perplexities and KLs, over `windows` of `tokens` in all"
    )
    generation: dict[str, Figure] | None = Field(
        description="what it writes: repetition, empty, agreement; in conversations also stopped, "
        "the share of its turns that it ended"
    )
    flags: list[str] | None = Field(description="in which ways it is not good")
    tasks: dict[str, Any] | None = Field(description="results of lm-eval, by task")
    repo: str | None = Field(description="where it was published on the Hub")
    commit: str | None
    made_of: str | None
    updated: float = Field(description="Unix seconds, as all times")
    url: str = Field(description="its tar, its JSON and its page")
    hub_id: str | None = Field(description="its repository under HF_ENDPOINT=this service")


class MembersAnswer(Answer):
    """Every size, or those of one family, or a page of them."""

    models: list[MemberAnswer]
    next: str | None = Field(
        default=None, description="only of a page: the address of the page after it, if any"
    )


class ChoicesAnswer(Answer):
    """Several families have that size: add `?family=`."""

    choices: list[MemberAnswer]


_ADDRESSES = ("url", "hub_id")
_RECORD = tuple(name for name in MemberAnswer.model_fields if name not in _ADDRESSES)


def member_json(member: Member, name: str, redact: Redact) -> dict[str, Any]:
    """A member with the addresses under which it is had. `name` is its family's."""
    return {
        **redact(fields_of(member, _RECORD)),
        "url": _url(member.size, member.family),
        "hub_id": repo_id(name, member),
    }


def planned_member_json(planned: Mapping[str, Any], family: str, updated: float) -> dict[str, Any]:
    """A member of a family whose files are being hashed: its digest has no name yet."""
    no = dict.fromkeys(("built", "measured", "published"), "no")
    known = {**dict.fromkeys(_RECORD), **planned, **no, "family": family, "updated": updated}
    return {**known, "digest": None, "url": _url(known["size"], family), "hub_id": None}


def _url(size: str, family: str) -> str:
    return f"/models/{size}?family={family}"
