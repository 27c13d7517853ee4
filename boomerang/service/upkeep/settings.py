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
