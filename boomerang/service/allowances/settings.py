"""What an operator can set of how much may be used."""

from pydantic_settings import BaseSettings


class AllowanceSettings(BaseSettings):
    """The part of the settings that is about how much may be used."""
