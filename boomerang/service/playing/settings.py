"""What an operator can set of trying sizes."""

from pydantic import Field
from pydantic_settings import BaseSettings


class PlaySettings(BaseSettings):
    """The part of the settings that is about trying sizes."""

    play: bool = Field(
        default=False,
        description="Whether sizes can be tried: a worker holds teacher and student in memory.",
    )
    play_tokens: int = Field(
        default=512, ge=1, description="Most tokens of an answer of a size that is tried."
    )
    play_idle: float = Field(
        default=600.0,
        gt=0,
        description="Seconds without a question after which a pair is let go of from memory.",
    )
    player: tuple[str, ...] = Field(
        default=(), description="Command that plays, as a JSON list; the job file comes last."
    )
