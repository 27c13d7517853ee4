"""Keys, and what was done with them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.answer import Answer, fields_of
from boomerang.catalog.keys.keys import LONGEST_SECONDS
from boomerang.catalog.records.keys import Deed, Key, KeyScope
from boomerang.service.allowances.quotas import Quotas

KEY_EXAMPLE: dict[str, Any] = {
    "id": "k3f9c0a7be21", "name": "ci", "scope": "build", "created": 1767225600.0,
    "expires": 1775001600.0, "revoked": None, "used": 1767226260.0,
    "quotas": {"families_per_day": 5},
}  # fmt: skip


class KeyRequest(BaseModel):
    """`POST /keys`: a key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64, description="letters, digits and ._@-; no key had it before")
    scope: KeyScope
    expires_in: float | None = Field(
        default=None, gt=0, le=LONGEST_SECONDS, description="seconds; without it for good"
    )
    quotas: Quotas | None = None


class _Key(BaseModel):
    """What is told of a key wherever it is."""

    id: str
    name: str
    scope: KeyScope
    created: float
    expires: float | None
    revoked: float | None
    used: float | None = Field(description="when it was seen last, to the minute")
    quotas: dict[str, Any] | None = Field(description="its own, in place of the service's")


class KeyAnswer(_Key, Answer):
    """A key, without itself; times are seconds since 1970."""

    model_config = ConfigDict(json_schema_extra={"examples": [KEY_EXAMPLE]})


class NewKeyAnswer(_Key, Answer):
    """A key that was made, with itself: it is told here and never again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [KEY_EXAMPLE | {"key": "bmr_k3f9c0a7be21_…"}]}
    )

    key: str


class KeysAnswer(Answer):
    """Every key of the catalog, those that are over too, oldest first."""

    keys: list[KeyAnswer]


class DeedAnswer(Answer):
    """What somebody did."""

    model_config = ConfigDict(json_schema_extra={"examples": [{
        "id": 12, "time": 1767226260.0, "key": "k3f9c0a7be21", "name": "ci",
        "action": "families.create", "subject": "0f3c9a7be214", "status": 202,
        "trace": "5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d", "detail": None,
    }]})  # fmt: skip

    id: int
    time: float
    key: str | None = Field(description="id of the key it was done with, if any")
    name: str | None = Field(description="its name, or what is known of whoever it was")
    action: str = Field(description="as families.create; what ends in .refused are unknown keys")
    subject: str | None = Field(description="id of the family or the key it was done to")
    status: int = Field(description="of the answer")
    trace: str | None = Field(description="id of the request")
    detail: dict[str, Any] | None


class AuditAnswer(Answer):
    """What was done, newest first."""

    deeds: list[DeedAnswer]
    next: str | None = Field(description="the address of what came before, if there is any")


_KEY, _DEED = tuple(KeyAnswer.model_fields), tuple(DeedAnswer.model_fields)


def key_json(key: Key) -> dict[str, Any]:
    """A key as it is shown."""
    return fields_of(key, _KEY)


def deed_json(deed: Deed) -> dict[str, Any]:
    """What somebody did as it is shown."""
    return fields_of(deed, _DEED)
