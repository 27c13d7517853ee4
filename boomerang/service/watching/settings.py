"""What an operator can set of what the service says of itself."""

from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from boomerang.processes.logs import LogFormat

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class WatchingSettings(BaseSettings):
    """The part of the settings that is about logs, traces and figures."""

    log_level: Level = Field(
        default="INFO", description="How much is logged: DEBUG, INFO, WARNING or ERROR."
    )
    log_format: LogFormat = Field(
        default="auto",
        description="How it is logged: `json`, `text`, or `auto`: text on a terminal, else JSON.",
    )

    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port at which a worker answers GET /metrics; 0 is nowhere. Workers of one "
        "machine take those after it.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="Address at which a worker answers that. It asks for no key.",
    )

    otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="Address of a collector of OpenTelemetry (OTLP over HTTP), as "
        "`http://127.0.0.1:4318`; empty: no traces.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value
