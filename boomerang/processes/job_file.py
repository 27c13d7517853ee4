"""What a process of its own is told: a job in a file."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from boomerang.errors import BadRecipe


class JobFile(BaseModel):
    """A job, called by `title` in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str] = "job"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a job file. Raises BadRecipe where it is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadRecipe(
                f"{path.name} is no {cls.title}: {' '.join(str(error).split())}",
                value=str(path),
                fix="Give the path of a job file as the service writes it.",
            ) from None
