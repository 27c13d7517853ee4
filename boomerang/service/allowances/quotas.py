"""Quotas of one key, as an operator gives them, in place of the service's."""

from pydantic import BaseModel, ConfigDict, Field


class Quotas(BaseModel):
    """What of the service's allowance is another one for a key; 0 is no limit, null the service's.

    `model_dump(exclude_none=True)` is what the catalog keeps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    families_per_day: int | None = Field(
        default=None, ge=0, le=10**9, description="New families that it may ask for in a day."
    )
    running_at_once: int | None = Field(
        default=None, ge=0, le=10**6, description="Students of it that are distilled at once."
    )
    device_hours_per_day: float | None = Field(
        default=None, ge=0, le=1e9, description="Hours of devices that its work takes in a day."
    )
    bytes_per_day: int | None = Field(
        default=None, ge=0, le=2**62, description="Bytes that it downloads in a day."
    )
    requests_per_second: float | None = Field(
        default=None, ge=0, le=1e6, description="Requests a second, in the long run."
    )
    requests_burst: int | None = Field(
        default=None, ge=0, le=10**6, description="Requests that may come at once."
    )
    plays_at_once: int | None = Field(
        default=None, ge=0, le=10**4, description="Questions to sizes that may wait at once."
    )
