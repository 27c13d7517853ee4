"""What an operator can set of how a service is looked after."""

from pydantic import Field
from pydantic_settings import BaseSettings


class UpkeepSettings(BaseSettings):
    """The part of the settings that is about what the catalog keeps, and how it changes."""

    migrate: bool = Field(
        default=True,
        description="Whether a program that meets a catalog of an older version brings it up to "
        "date; where not, it refuses until somebody runs `boomerang migrate`.",
    )
    audit_days: float = Field(
        default=365.0,
        gt=0,
        description="How long it stays known who did what, and how much each key used on a day.",
    )
