"""What an operator can set of how much may be used."""

from pydantic import Field
from pydantic_settings import BaseSettings

from boomerang.catalog.records.allowances import Allowance


class AllowanceSettings(BaseSettings):
    """The part of the settings that is about how much may be used: by each key, 0 is no limit."""

    families_per_day: int = Field(
        default=0, ge=0, description="New families that a key may ask for in a day (UTC)."
    )
    running_at_once: int = Field(
        default=0, ge=0, description="Students of a key that are distilled at once; others wait."
    )
    device_hours_per_day: float = Field(
        default=0.0,
        ge=0,
        description="Hours of GPUs, or of workers without one, that a key's students take in a day "
        "(UTC); then they wait for the next.",
    )
    bytes_per_day: int = Field(
        default=0, ge=0, description="Bytes of models that a key downloads in a day (UTC)."
    )
    requests_per_second: float = Field(
        default=50.0,
        ge=0,
        description="Requests a second of a key, or of an address without one, in the long run.",
    )
    requests_burst: int = Field(
        default=200, ge=1, description="Requests of a key or an address that may come at once."
    )
    plays_at_once: int = Field(
        default=4, ge=0, description="Questions to sizes that a key may have waiting at once."
    )

    @property
    def allowance(self) -> Allowance:
        """What each key may use that has no quotas of its own."""
        return Allowance(
            families_per_day=self.families_per_day,
            running_at_once=self.running_at_once,
            device_hours_per_day=self.device_hours_per_day,
            bytes_per_day=self.bytes_per_day,
            requests_per_second=self.requests_per_second,
            requests_burst=self.requests_burst,
            plays_at_once=self.plays_at_once,
        )
