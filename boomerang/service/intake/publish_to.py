"""Where members are to be published, who may see them there, and as whom."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from boomerang.hub.rights import Gate


class PublishTo(BaseModel):
    """Where members are pushed once they can be: one repository for each size."""

    model_config = ConfigDict(extra="forbid")

    namespace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="by default that of the requester's own token, or the service's",
    )
    private: bool = True
    gated: Gate | None = Field(
        default=None, description="seen by all, and read by those who are let in: not private"
    )
    collection: str | None = Field(
        default=None,
        max_length=200,
        description="title of the collection, instead of the family's name; empty: none",
    )
    force: bool = Field(default=False, description="also members that did not pass the gates")

    @model_validator(mode="before")
    @classmethod
    def _gated_is_not_private(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("gated") is not None:
            if value.get("private"):
                raise ValueError("publish either private or gated")
            return {**value, "private": False}
        return value


class KeptPublishTo(PublishTo):
    """The same as the service keeps it: `credential` is the id of the requester's own token."""

    credential: str | None = None
