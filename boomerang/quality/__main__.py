"""Measuring as a process: `python -m boomerang.quality JOB.json`.

Events are JSON lines on stdout. Exit status 0 when every member is measured, 1 after an `error`
event, 143 when told to stop.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from transformers.utils import logging

from boomerang.checkpoint import Checkpoint
from boomerang.composition import Composition
from boomerang.distill.data import Stream, Tokeniser
from boomerang.distill.process import STOPPED, Reporter, Stopped
from boomerang.distill.texts import Split, Texts
from boomerang.encoders import not_measured
from boomerang.errors import BadRecipe, BoomerangError, TrainingFailed
from boomerang.pair import Pair
from boomerang.patch_order import PatchOrder
from boomerang.quality.gates import Measured, flags
from boomerang.quality.generation import Writer
from boomerang.quality.measure import Quality, ladder_members, measure, naive_counterpart
from boomerang.quality.models import Couple, compute_dtype, couple, device, load
from boomerang.quality.order import SECONDS, Chosen, choose, given


class Job(BaseModel):
    """One measuring: a teacher, a student, a text and an order of patching."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: Path
    student: Path
    data: str
    order: Literal["auto", "last", "first", "klpatch", "best"] | PatchOrder = "auto"
    search_seconds: Annotated[float, Field(ge=0)] = SECONDS
    sequence_length: Annotated[int, Field(ge=2)] = 256
    calibration_tokens: Annotated[int, Field(ge=1)] = 16384
    heldout_tokens: Annotated[int, Field(ge=1)] = 65536
    naive: bool = True
    kept: tuple[int, ...] | None = None

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

    Raises StudentMismatch, BadRecipe or BadComposition for what cannot be measured.
    """
    files = Checkpoint.open(job.teacher)
    pair = Pair.of(files, Checkpoint.open(job.student), kept=job.kept, verify=False)
    if pair.teacher.architecture.masked:
        raise not_measured(files.name)
    context = pair.teacher.config.get("max_position_embeddings") or files.config.get("n_positions")
    length = min(job.sequence_length, context or job.sequence_length)
    vocabulary = pair.teacher.head_tensor.shape[0]
    tokeniser, texts = Tokeniser(job.teacher, vocabulary), Texts.open(job.data)

    def stream(split: Split) -> Stream:
        return Stream(tokeniser.encode(texts, split, tick=report.check), length, split)

    calibration = stream("calibration").head(job.calibration_tokens)
    heldout = stream("heldout").head(job.heldout_tokens)
    where = device()
    both = couple(
        load(job.teacher, dtype=compute_dtype(where), where=where),
        load(job.student, dtype=compute_dtype(where), where=where),
        pair.layermap,
    )
    chosen = _order(job, both, calibration, report.check)
    report(
        "order",
        order=chosen.name,
        patch_order=[*chosen.order],
        calibration_kl={name: [*map(_short, kls)] for name, kls in chosen.calibration_kl.items()},
    )
    report.check()
    members = list(ladder_members(both, chosen.order))
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
    report("done")


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
    writer = Writer.over(both, heldout, end)
    ladder = [
        Measured(len(member.layers), quality, writer.check(member, report.check))
        for member, quality in zip(members, measured, strict=False)
    ]
    return [
        Checked({name: round(value, 4) for name, value in asdict(said).items()}, why)
        for said, why in zip((m.continuation for m in ladder), flags(ladder), strict=True)
        if said is not None
    ]


def _order(job: Job, both: Couple, windows: Tensor, tick: Callable[[], None]) -> Chosen:
    if isinstance(job.order, str):
        return choose(both, windows, job.order, seconds=job.search_seconds, tick=tick)
    return given(both, windows, job.order)


def _short(value: float) -> float | None:
    # JSON has no infinity, and a member may be that bad.
    return round(value, 6) if value < float("inf") else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
