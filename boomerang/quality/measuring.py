"""One measuring, from a job file to the figures of every member."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from boomerang.architecture.bert import not_measured
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRecipe
from boomerang.family.composition import Composition
from boomerang.family.ladder import Ladder
from boomerang.family.order_forms import PatchOrder, members_of
from boomerang.family.pair import Pair
from boomerang.modules.accelerator import Accelerator, device
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.processes.reporting import JobFile, Reporter
from boomerang.quality.choosing.orders import WINDOW, choose, chosen_on, given
from boomerang.quality.gates import Measured, flags
from boomerang.quality.generation import ANSWERED, ASKED, PROMPTS, Continuation, Writer
from boomerang.quality.measure import Likeness, Quality, growing, naive_counterpart
from boomerang.quality.progress import Choosing, Progress
from boomerang.quality.tasks.run import TaskRequest, run_tasks
from boomerang.texts.texts import Texts
from boomerang.tokens.chats import Chats, chats
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import first_windows, length_for


class MeasureJob(JobFile):
    """One measuring: a teacher, a student, a text and an order of patching.

    `tasks` are run for the members of the sizes `members`, or for all. With `tasks_only` an order
    in full is believed, and nothing else is measured. The order is chosen on `calibration_tokens`,
    if not given on as many as `chosen_on` says.
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


def run(job: MeasureJob, report: Reporter) -> None:
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
    texts = None if job.tasks_only else _texts(job, pair, tokeniser, report)
    where = device()
    compute, folders = Accelerator.of(where).compute, (job.teacher, job.student)
    teacher, student = (load(folder, dtype=compute, where=where) for folder in folders)
    measuring = _Measuring(job, couple(teacher, student, pair.layermap), tokeniser, report)
    order = job.full_order() if texts is None else measuring.order(texts[0])
    wanted, members = _wanted(job, pair, order), members_of(pair.layermap, order)
    if texts is not None:
        measuring.measure(members, *texts[1:])
    measuring.run_tasks({k: members[k] for k in wanted})
    report("done")


def _texts(
    job: MeasureJob, pair: Pair, tokeniser: Tokeniser, report: Reporter
) -> tuple[Tensor, Tensor, Chats | None]:
    """Windows to choose an order on and to measure on, and held-out conversations."""
    config = pair.teacher.config
    length = length_for(config, job.sequence_length)
    texts = Texts.open(job.data)
    choosing = job.calibration_tokens or chosen_on(job.heldout_tokens)
    told = (tokeniser, texts)
    return (
        first_windows(*told, "calibration", choosing, min(length, WINDOW), report.check),
        first_windows(*told, "heldout", job.heldout_tokens, length, report.check),
        # At least half of a context is left for the answer.
        chats(*told, "heldout", PROMPTS, length_for(config, 2 * ASKED) // 2, ANSWERED // 2),
    )


def _wanted(job: MeasureJob, pair: Pair, order: PatchOrder) -> list[int]:
    """The k of the members that tasks are run for. Raises SizeNotFound, BudgetOutOfRange."""
    if not job.tasks:
        return []
    ladder = Ladder.of(pair, order)
    if not job.members:
        return [member.k for member in ladder.members]
    return list(dict.fromkeys(ladder.resolve(size).k for size in job.members))


@dataclass(frozen=True)
class _Measuring:
    job: MeasureJob
    couple: Couple
    tokeniser: Tokeniser
    report: Reporter

    def order(self, windows: Tensor) -> PatchOrder:
        """The order, by calibration text (W, T + 1)."""
        if isinstance(self.job.order, str):
            found = choose(self.couple, windows, self.job.order, told=Choosing(self.report))
        else:
            found = given(self.couple, windows, self.job.order)
        kls = {name: [*map(_short, values)] for name, values in found.calibration_kl.items()}
        self.report(
            "order",
            order=found.name,
            patch_order=[*found.order],
            calibration_kl=kls,
            evaluations=round(found.evaluations, 2),
            unfinished=found.unfinished,
            note=found.note,
        )
        self.report.check()
        return found.order

    def measure(
        self, members: list[Composition], heldout: Tensor, talks: Chats | None = None
    ) -> None:
        """Report every member `early`, of more and more of the text, and at last as `member`.

        What they write, in conversations where there are some, is checked after the first figures,
        or before where those are the last.
        """
        beside = [naive_counterpart(member) for member in members] if self.job.naive else []
        said: dict[Composition, Continuation] = {}
        both, length = [*members, *beside], heldout.shape[1] - 1
        count, tokens = len({member.code for member in both}), len(heldout) * length
        progress, done = Progress(self.report, "measuring", "tokens"), 0

        def tick(windows: int) -> None:
            nonlocal done
            done += windows
            progress(done * length // count, tokens)

        for windows, found in growing(self.couple, heldout, both, tick, closer=members):
            whole, naive = windows == len(heldout), found[len(members) :]
            if whole and not said:
                said = self._written(members, heldout, talks)
            ladder = [
                Measured(len(member.layers), quality, said.get(member))
                for member, quality in zip(members, found, strict=False)
            ]
            why = flags(ladder) if whole else [()] * len(ladder)
            for k, (member, measured) in enumerate(zip(members, ladder, strict=True)):
                self.report(
                    "member" if whole else "early",
                    k=k,
                    code=member.code,
                    layers=measured.layers,
                    perplexity=_short(measured.quality.perplexity),
                    kl=_short(measured.quality.kl),
                    **_alike(measured.quality.likeness),
                    naive_perplexity=_short(naive[k].perplexity) if naive else None,
                    naive_kl=_short(naive[k].kl) if naive else None,
                    errors=_errors(measured.quality, naive[k] if naive else None, windows, length),
                    generation=measured.continuation and measured.continuation.json(),
                    flags=why[k],
                    tokens=windows * length,
                    of=tokens,
                )
            said = said or self._written(members, heldout, talks)
            progress.resume()

    def _written(
        self, members: list[Composition], heldout: Tensor, talks: Chats | None
    ) -> dict[Composition, Continuation]:
        found: dict[Composition, Continuation] = {}
        progress = Progress(self.report, "writing", "written")
        if talks is None:
            writer = Writer.over(self.couple, heldout, self.tokeniser.end)
        else:
            writer = Writer.answering(self.couple, talks)
        for member, continuation in writer.each(members, self.report.check):
            found[member] = continuation
            progress(len(found), len(members))
        return found

    def run_tasks(self, members: dict[int, Composition]) -> None:
        """Report what members reach in the tasks that are asked for, by their k."""
        tasks, folder = self.job.tasks, self.job.tasks_folder
        asked = (self.couple, members, self.tokeniser, tasks, folder, self.report.check)
        for k, result in run_tasks(*asked):
            self.report("task", k=k, **result.json())


def _alike(likeness: Likeness | None) -> dict[str, Any]:
    if likeness is None:
        return {}
    return {
        name: [*map(_short, v)] if isinstance(v, tuple) else round(v, 6)
        for name, v in asdict(likeness).items()
    }


def _errors(
    found: Quality, naive: Quality | None, windows: int, length: int
) -> dict[str, float | int | None]:
    """Standard errors by name, and of how many windows and tokens they are."""
    errors = {"perplexity": found.perplexity_error, "kl": found.kl_error}
    if naive is not None:
        errors |= {"naive_perplexity": naive.perplexity_error, "naive_kl": naive.kl_error}
    known = {n: None if error is None else _short(error) for n, error in errors.items()}
    return {**known, "windows": windows, "tokens": windows * length}


def _short(value: float) -> float | None:
    # JSON has no infinity, and a member may be that bad.
    return round(value, 6) if value < float("inf") else None
