"""What an operator can set of what the service says of itself."""

from pydantic import Field
from pydantic_settings import BaseSettings


class WatchingSettings(BaseSettings):
    """The part of the settings that is about logs, traces and figures."""

    log_level: str = Field(default="INFO", description="How much the workers say.")
