"""Measuring as a process: `python -m boomerang.quality JOB.json`.

Events are JSON lines on stdout. Exit status 0 when every member is measured, 1 after an `error`
event, 143 when told to stop.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from transformers.utils import logging

from boomerang.checkpoint import Checkpoint
from boomerang.composition import Composition
from boomerang.distill.data import Tokeniser
from boomerang.distill.process import STOPPED, Reporter, Stopped
from boomerang.distill.texts import Split, Texts
from boomerang.distill.windows import Stream
from boomerang.encoders import not_measured
from boomerang.errors import BadRecipe, BoomerangError, TrainingFailed
from boomerang.ladder import Ladder
from boomerang.pair import Pair
from boomerang.patch_order import PatchOrder
from boomerang.quality.gates import Measured, flags
from boomerang.quality.generation import Writer
from boomerang.quality.measure import Quality, ladder_members, measure, naive_counterpart
from boomerang.quality.models import Couple, compute_dtype, couple, device, load
from boomerang.quality.order import SECONDS, choose, given
from boomerang.quality.tasks import Asked, run_tasks


class Job(BaseModel):
    """One measuring: a teacher, a student, a text and an order of patching.

    `tasks` are run for the members of the sizes `members`, or for all. With `tasks_only` an order
    in full is believed, and nothing else is measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: Path
    student: Path
    data: str = ""
    order: Literal["auto", "last", "first", "klpatch", "best"] | PatchOrder = "auto"
    search_seconds: Annotated[float, Field(ge=0)] = SECONDS
    sequence_length: Annotated[int, Field(ge=2)] = 256
    calibration_tokens: Annotated[int, Field(ge=1)] = 16384
    heldout_tokens: Annotated[int, Field(ge=1)] = 65536
    naive: bool = True
    kept: tuple[int, ...] | None = None
    tasks: tuple[Asked, ...] = ()
    tasks_folder: Path | None = None
    tasks_only: bool = False
    members: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Read a job file. Raises BadRecipe where it is none."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BadRecipe(
                f"{path.name} is no measuring job: {' '.join(str(error).split())}",
                value=str(path),
                fix="Give the path of a job file as the service writes it.",
            ) from None

    def full_order(self) -> PatchOrder:
        """The order, which must not be one that measuring finds. Raises BadRecipe."""
        if isinstance(self.order, str):
            raise BadRecipe(
                f"Tasks alone cannot find the order {self.order!r}.",
                value=self.order,
                fix="Give it in full.",
            )
        return self.order


def main(arguments: list[str]) -> int:
    """Run one job and return the exit status."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report = Reporter()
    with report.supervised():
        try:
            run(Job.load(Path(arguments[0] if arguments else "")), report)
        except Stopped:
            return STOPPED
        except BoomerangError as error:
            report.failed(error)
            return 1
        except (MemoryError, RuntimeError, OSError) as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            report.failed(TrainingFailed(f"Measuring stopped: {said}.", fix="See the log."))
            return 1
    return 0


def run(job: Job, report: Reporter) -> None:
    """Choose the order on calibration text, then measure every member on held-out text.

    The tasks come last: where one fails, the members are measured all the same. Raises
    StudentMismatch, BadRecipe, BadComposition or SizeNotFound for what cannot be measured.
    """
    files = Checkpoint.open(job.teacher)
    # Whether embeddings are equal byte for byte decides the names of sizes, and nothing else here.
    verify = bool(job.members)
    pair = Pair.of(files, Checkpoint.open(job.student), kept=job.kept, verify=verify)
    if pair.teacher.architecture.masked:
        raise not_measured(files.name)
    tokeniser = Tokeniser(job.teacher, pair.teacher.head_tensor.shape[0])
    texts = None if job.tasks_only else _texts(job, pair, files, tokeniser, report)
    where = device()
    both = couple(
        load(job.teacher, dtype=compute_dtype(where), where=where),
        load(job.student, dtype=compute_dtype(where), where=where),
        pair.layermap,
    )
    if texts is None:
        order = job.full_order()
        wanted = _wanted(job, pair, order)
    else:
        order = _order(job, both, texts[0], report)
        wanted = _wanted(job, pair, order)
        _measure(job, both, texts[1], tokeniser, order, report)
    members = list(ladder_members(both, order))
    asked = {k: members[k] for k in wanted}
    for k, result in run_tasks(both, asked, tokeniser, job.tasks, job.tasks_folder, report.check):
        report("task", k=k, **result.json())
    report("done")


def _texts(
    job: Job, pair: Pair, files: Checkpoint, tokeniser: Tokeniser, report: Reporter
) -> tuple[Tensor, Tensor]:
    """Windows of calibration and of held-out text, (W, T + 1) each."""
    context = pair.teacher.config.get("max_position_embeddings") or files.config.get("n_positions")
    length = min(job.sequence_length, context or job.sequence_length)
    texts = Texts.open(job.data)

    def head(split: Split, tokens: int) -> Tensor:
        stream = Stream(tokeniser.encode(texts, split, tick=report.check), length, split)
        return stream.head(tokens)

    return (
        head("calibration", job.calibration_tokens),
        head("heldout", job.heldout_tokens),
    )


def _wanted(job: Job, pair: Pair, order: PatchOrder) -> list[int]:
    """The k of the members that tasks are run for. Raises SizeNotFound, BudgetOutOfRange."""
    if not job.tasks:
        return []
    ladder = Ladder.of(pair, order)
    if not job.members:
        return [member.k for member in ladder.members]
    return list(dict.fromkeys(ladder.resolve(size).k for size in job.members))


def _measure(
    job: Job,
    both: Couple,
    heldout: Tensor,
    tokeniser: Tokeniser,
    order: PatchOrder,
    report: Reporter,
) -> None:
    members = list(ladder_members(both, order))
    beside = [naive_counterpart(member) for member in members] if job.naive else []
    measured = measure(both, heldout, [*members, *beside], report.check)
    naive = measured[len(members) :]
    checked = _checked(both, heldout, tokeniser.end, members, measured, report)
    for k, (member, quality) in enumerate(zip(members, measured[: len(members)], strict=True)):
        report(
            "member",
            k=k,
            code=member.code,
            layers=len(member.layers),
            perplexity=_short(quality.perplexity),
            kl=_short(quality.kl),
            naive_perplexity=_short(naive[k].perplexity) if naive else None,
            naive_kl=_short(naive[k].kl) if naive else None,
            generation=checked[k].generation,
            flags=checked[k].flags,
        )


@dataclass(frozen=True)
class Checked:
    """What a member writes, by name of the figure, and why it is not offered as good."""

    generation: dict[str, float]
    flags: tuple[str, ...]


def _checked(
    both: Couple,
    heldout: Tensor,
    end: int,
    members: Sequence[Composition],
    measured: Sequence[Quality],
    report: Reporter,
) -> list[Checked]:
    said = Writer.over(both, heldout, end).checks(members, report.check)
    ladder = [
        Measured(len(member.layers), quality, said[member])
        for member, quality in zip(members, measured, strict=False)
    ]
    return [
        Checked({name: round(value, 4) for name, value in asdict(said).items()}, why)
        for said, why in zip((m.continuation for m in ladder), flags(ladder), strict=True)
        if said is not None
    ]


def _order(job: Job, both: Couple, windows: Tensor, report: Reporter) -> PatchOrder:
    if isinstance(job.order, str):
        found = choose(both, windows, job.order, seconds=job.search_seconds, tick=report.check)
    else:
        found = given(both, windows, job.order)
    kls = {name: [*map(_short, values)] for name, values in found.calibration_kl.items()}
    report("order", order=found.name, patch_order=[*found.order], calibration_kl=kls)
    report.check()
    return found.order


def _short(value: float) -> float | None:
    # JSON has no infinity, and a member may be that bad.
    return round(value, 6) if value < float("inf") else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
