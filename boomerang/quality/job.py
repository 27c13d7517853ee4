"""What measuring is told: one job file."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from boomerang.errors import BadRecipe
from boomerang.family.patch_order import PatchOrder
from boomerang.processes.reporting import JobFile
from boomerang.quality.tasks.results import TaskRequest


class MeasureJob(JobFile):
    """One measuring: a teacher, a student, a text and an order of patching.

    `tasks` are run for the members of the sizes `members`, or for all. With `tasks_only` an order
    in full is believed, and nothing else is measured. The order is chosen on `calibration_tokens`,
    if not given on as many as always, or on no more than are measured on.
    """

    title: ClassVar[str] = "measuring job"

    teacher: Path
    student: Path
    data: str = ""
    order: Literal["auto", "last", "first", "klpatch", "best"] | PatchOrder = "auto"
    sequence_length: Annotated[int, Field(ge=2)] = 256
    calibration_tokens: Annotated[int, Field(ge=1)] | None = None
    heldout_tokens: Annotated[int, Field(ge=1)] = 65536
    naive: bool = True
    kept: tuple[int, ...] | None = None
    tasks: tuple[TaskRequest, ...] = ()
    tasks_folder: Path | None = None
    tasks_only: bool = False
    members: tuple[str, ...] = ()

    def full_order(self) -> PatchOrder:
        """The order, which must not be one that measuring finds. Raises BadRecipe."""
        if isinstance(self.order, str):
            raise BadRecipe(
                f"Tasks alone cannot find the order {self.order!r}.",
                value=self.order,
                fix="Give it in full.",
            )
        return self.order
