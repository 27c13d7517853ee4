"""What a process of its own is told, a job in a file, and how the job may end."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from boomerang.errors import BadRecipe, BoomerangError
from boomerang.processes.reporting import STOPPED, Reporter, Stopped


class JobFile(BaseModel):
    """A job, called by `title` in errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str] = "job"

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a job file. Raises BadRecipe where it is none."""
        path = Path(path)
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadRecipe(
                f"{path.name} is no {cls.title}: {' '.join(str(error).split())}",
                value=str(path),
                fix="Give the path of a job file as the service writes it.",
            ) from None


def run_job(
    work: Callable[[], None],
    report: Reporter,
    failed: Callable[[Exception], BoomerangError],
    *expected: type[Exception],
) -> int:
    """Do the work of a process, and return its exit status: 0, 1 with an error, or STOPPED.

    `failed` says what an error means that is no BoomerangError, but one of memory, of the system,
    or `expected`.
    """
    caught: tuple[type[Exception], ...] = (MemoryError, RuntimeError, OSError, *expected)
    with report.supervised():
        try:
            work()
        except Stopped:
            return STOPPED
        except BoomerangError as error:
            report.failed(error)
            return 1
        except caught as error:
            report.failed(failed(error))
            return 1
    return 0
