"""The training loop: plain and patch-aware steps, from a checkpoint or from the beginning."""

import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from boomerang.distill import checkpoints
from boomerang.distill.checkpoints import Progress
from boomerang.distill.guard import Guard, ended_badly
from boomerang.distill.job import Placement
from boomerang.distill.memory.estimate import Need, available, halve
from boomerang.distill.objective.losses import Losses, Weights, distillation_losses
from boomerang.distill.objective.mean import Mean
from boomerang.distill.optimisers import optimiser_for, set_rate
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import Root, clip, sharded, sum_gradients
from boomerang.distill.passes import passes, shares
from boomerang.distill.patching import member_for
from boomerang.distill.students.student import trained
from boomerang.errors import TrainingFailed
from boomerang.family.composition import Choice, Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.processes.reporting import Reporter, Stopped
from boomerang.recipes.fixed import CLIP
from boomerang.recipes.recipe import Recipe
from boomerang.tokens.loss_mask import Sequences
from boomerang.tokens.windows import Windows

T = TypeVar("T")

TIMED = 2.0
"""Seconds of trial passes, at least, from which `minutes` is turned into a number of steps."""
_TRIALS = 8
"""How many of them there are at least."""
_SCHEDULE, _STRIDE = 1000, 617
"""The steps of their schedule, and how far it is from one to the next: no part of it is missed."""
_SAVING = 0.03
"""The share of its time that a run spends on checkpoints, at most."""


@dataclass
class Trainer:
    """One distillation of `couple.student`; `run` holds its checkpoint, `identity` names it.

    Each of many `devices` has teacher and student as `placement` says; shards are made in place.
    """

    recipes: ClassVar[type[Recipe]] = Recipe
    """What its recipe is read as."""

    couple: Couple
    stream: Windows
    recipe: Recipe
    run: Path
    identity: str
    report: Reporter
    frozen: bool
    checkpoint_seconds: float = 120.0
    report_seconds: float = 1.0
    need: Need | None = None
    devices: Devices = field(default_factory=Devices)
    placement: Placement = Placement.REPLICAS
    root: Root = field(init=False)
    parameters: dict[str, nn.Parameter] = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    teacher_itself: Composition = field(init=False)
    where: torch.device = field(init=False)
    guard: Guard = field(init=False, default_factory=lambda: Guard(math.inf))
    at_once: int = field(init=False)

    def __post_init__(self) -> None:
        self.couple = replace(self.couple, recompute=self.recipe.activation_checkpointing)
        root = sharded(self.couple, self.devices) if self.shards else Root(self.couple)
        self.root = root
        self.where = self.couple.teacher.device
        most = Accelerator.of(self.where).activations
        asked = self.recipe.micro_batch
        self.at_once = self.need.at_once(asked, most) if self.need else asked
        self.parameters = trained(self.couple.student)
        self.optimiser = optimiser_for(self.recipe, self.parameters.values())
        whole = [Choice.BLOCK] * len(self.couple.layermap.kept)
        self.teacher_itself = Composition.of(self.couple.layermap, whole)

    @property
    def shards(self) -> bool:
        """Whether the devices need each other for every layer."""
        return self.placement is Placement.SHARDS

    @property
    def sequences(self) -> int:
        """Sequences in one optimiser step."""
        return max(1, self.recipe.batch_tokens // self.stream.length)

    def train(self) -> Progress:
        """Train until the recipe's steps are done.

        Raises Stopped, with a checkpoint written, where the process is asked to stop;
        TrainingFailed where the loss or its gradient is not finite, or the loss runs away: the
        checkpoint is then the last one that was good.
        """
        progress = self._restored()
        progress = progress or Progress(self.identity, 0, self.recipe.steps or self._time_steps())
        progress = self._begin(progress)
        parameters = sum(p.numel() for p in self.couple.student.model.parameters())
        self.report("start", steps=progress.steps, parameters=parameters, step=progress.step)
        first, said, saved, news = progress, self.devices.now(), self.devices.now(), Mean()
        pause = self.checkpoint_seconds
        while progress.step < progress.steps:
            try:
                progress = self._step(progress, news)
            except Stopped:
                self._save(progress)
                raise
            now = self.devices.now()
            if now - said >= self.report_seconds or progress.step == progress.steps:
                self._say(progress, first, news)
                said, news = now, Mean()
            if now - saved >= pause or progress.step == progress.steps:
                self._save(progress)
                saved = self.devices.now()
                if self.checkpoint_seconds > 0:
                    pause = max(self.checkpoint_seconds, (saved - now) / _SAVING)
        return progress

    def _restored(self) -> Progress | None:
        """Where the checkpoint is, None without one.

        Raises TrainingFailed where the processes do not see the same one.
        """
        progress = checkpoints.restore(self.run, self.identity, self.parameters, self.optimiser)
        if self.devices.same(progress) != progress:
            raise TrainingFailed(
                "The processes of this run do not see the same checkpoint.",
                value=str(self.run),
                fix="The run folder must be one that all machines share.",
            )
        return progress

    def _begin(self, progress: Progress) -> Progress:
        """Say what the run will take, and learn the loss that it begins with."""
        passing, summing = self._timed(1, 0.0, 1)
        self.optimiser.zero_grad(set_to_none=True)
        initial = progress.initial
        if initial is None:
            initial = self._present_loss()
        self.guard = Guard(initial)
        each = self._rounds * passing + summing
        left = progress.steps - progress.step
        # A stop waits for the pass that is under way, then looks at the loss, and writes.
        saving = 2 * passing + checkpoints.expected(self.parameters.values())
        self.report(
            "estimate",
            steps=progress.steps,
            tokens=progress.steps * self.sequences * self.stream.length,
            seconds=round(each * left, 1),
            saving_seconds=round(saving, 3),
            devices=self.devices.world,
            placement=self.placement,
            memory_bytes=self.need.bytes(self.at_once) if self.need else None,
            available_bytes=available(self.where),
        )
        return replace(progress, initial=initial)

    def _step(self, progress: Progress, news: Mean) -> Progress:
        began = self.devices.now()
        rate = rate_at(progress.step, progress.steps, self.recipe.warmup)
        batch = self._batch(progress.step, progress.steps)
        self._update(batch, progress.step, progress.steps, rate, news)
        return progress.advanced(self.sequences * self.stream.length, self.devices.now() - began)

    def _batch(self, step: int, steps: int) -> Tensor:
        """The sequences of a step, once they are tokenised. Raises Stopped while it waits."""
        self.devices.wait_for(lambda: self.stream.ready(step, self.sequences, steps), self.report)
        return self.stream.batch(self.recipe.seed, step, self.sequences, steps)

    def _update(self, batch: Tensor, step: int, steps: int, rate: float, news: Mean) -> None:
        """One optimiser step: its micro-batches, clipping, and the update at `rate` of the peak."""
        mine = self._gradients(batch, step, steps)
        news.merge(mine)
        self.guard.watch(step + 1, steps, mine.means()["loss"])
        self._apply(step, steps, rate, mine.means()["ce"])

    def _apply(self, step: int, steps: int, rate: float, ce: float) -> None:
        norm = clip(self.parameters.values(), CLIP)
        if not math.isfinite(norm):
            raise TrainingFailed(
                f"The gradient is not finite at step {step + 1} of {steps} "
                f"(cross-entropy {ce:.4g}).",
                value=step + 1,
                fix="Lower the learning rate; the last checkpoint is from before it.",
            )
        set_rate(self.optimiser, self.recipe.learning_rate * rate)
        self.optimiser.step()

    def _gradients(self, batch: Tensor, step: int, steps: int) -> Mean:
        """The gradients of a batch (B, T + 1), and its losses."""

        def work() -> Mean:
            losses = self._passes(batch, step, steps)
            self._sum()
            return losses

        return self._fitting(work, step)

    def _fitting(self, work: Callable[[], T], step: int) -> T:
        """What `work` makes, which begins without gradients and leaves some.

        Out of memory on any device halves the micro-batch on all of them, for this step and all
        that follow, and it begins again; the gradients are the same.
        """
        while True:
            self.optimiser.zero_grad(set_to_none=True)
            try:
                with self.devices.together():
                    return work()
            except (MemoryError, RuntimeError) as error:
                halved = halve(self.at_once, error)
            self.root.forget()
            self.optimiser.zero_grad(set_to_none=True)
            if self.where.type == "cuda":
                torch.cuda.empty_cache()
            self.report("memory", step=step + 1, micro_batch=halved, before=self.at_once)
            self.at_once = halved

    def _sum(self) -> None:
        """Sum the gradients of replicas; those of shards are summed as they come."""
        if not self.shards:
            sum_gradients(self.parameters.values(), self.devices)

    def _passes(self, batch: Tensor, step: int, steps: int) -> Mean:
        losses, asked = Mean(), self.recipe.micro_batch
        where = (self.at_once, self.devices, self.shards)
        member = partial(self.member, step, steps)
        with self._alike() if self.shards else self.devices.apart(self.report) as check:
            for one in passes(batch, asked, member, *where):
                check()
                found = self.losses(one.composition, one.rows)
                torch.autograd.backward(found.total * one.share)
                losses.add(found, one.share)
        return losses.over(self.devices)

    def member(self, step: int, steps: int, part: int) -> Composition:
        """The member that micro-batch `part` of a step runs through."""
        return member_for(self.recipe, self.couple.layermap, step, steps, part)

    def _alike(self) -> AbstractContextManager[Callable[[], None]]:
        """A stretch in which all devices go through the same passes, with a check before each."""
        return nullcontext(lambda: self.devices.check(self.report))

    def losses(self, composition: Composition, ids: Tensor) -> Losses:
        """The losses of a member on sequences (B, T + 1), with gradient for the student."""
        read = Sequences.read(ids, self.stream.end, self.where)
        inputs = read.inputs
        weights = Weights(self.recipe.ce_weight, self.recipe.kl_weight, self.recipe.cosine_weight)
        places = self.stream.positions(read.bare) if self.recipe.separate_documents else None

        def work() -> Losses:
            with torch.no_grad():
                teacher = self.couple.trace(self.teacher_itself, inputs, positions=places)
            student = self.couple.trace(composition, inputs, teacher, places)
            return distillation_losses(
                self.couple, composition, student, teacher, read.labels, weights,
                frozen=self.frozen, rows=read.rows,
            )  # fmt: skip

        # Weights stay in float32, or small updates are lost; only products are in bfloat16.
        with Accelerator.of(self.where).autocast():
            found: Losses = self.root(work)
            return found

    @torch.no_grad()
    def evaluate(self, windows: Tensor) -> dict[str, float]:
        """The student's own losses, nothing patched, over windows (W, T + 1)."""
        student = Composition.patched(self.couple.layermap, ())
        mean = Mean()
        for ids, part in shares(windows, self.at_once, self.devices):
            mean.add(self.losses(student, ids), part)
            self.root.gather_no_more()
        return mean.over(self.devices).means()

    def _time_steps(self) -> int:
        """How many steps fit into the recipe's minutes, by a few passes that change nothing.

        They are spread over the schedule, because patched passes cost something else than plain
        ones. At a learning rate of zero AdamW leaves the weights as they are; its state is
        forgotten.
        """
        self._update(self._first(), 0, _SCHEDULE, 0.0, Mean())
        passing, summing = self._timed(_TRIALS, TIMED, _SCHEDULE)
        began = self._now()
        self._apply(1, 1, 0.0, math.nan)
        each = self._rounds * passing + summing + self._now() - began
        self.optimiser.state.clear()
        self.optimiser.zero_grad(set_to_none=True)
        return max(1, round((self.recipe.minutes or 0) * 60 / each))

    def _timed(self, trials: int, least: float, schedule: int) -> tuple[float, float]:
        """Seconds of one pass, and of the reduction that a step has once. Leaves gradients.

        Of `trials` passes, and `least` seconds of them, spread over so many steps of a schedule.
        Where memory runs out they are timed again, with fewer sequences.
        """

        def work() -> tuple[float, float]:
            batch, done = self._first(), 0
            # The first ones compile kernels and connect devices.
            self._passes(batch, 0, schedule)
            self._sum()
            began = self._now()
            for done in itertools.count(1):
                self._passes(batch, done * _STRIDE % schedule, schedule)
                if done >= trials and self.devices.now() - began >= least:
                    break
            passed = self._now()
            self._sum()
            return (passed - began) / done, self._now() - passed

        return self._fitting(work, 0)

    def _now(self) -> float:
        """Seconds on the clock of all, once a GPU has done what it was asked to do."""
        if self.where.type == "cuda":
            torch.cuda.synchronize(self.where)
        return self.devices.now()

    @property
    def _rounds(self) -> int:
        """How often a step goes through as many sequences as fit at once."""
        return math.ceil(self.sequences / (self.at_once * self.devices.world))

    def _present_loss(self) -> float:
        """The student's loss on the run's first sequences, nothing patched."""
        return self.evaluate(self._first())["loss"]

    def _first(self) -> Tensor:
        """The first sequences of the run, as many as go through one pass."""
        count = min(self.at_once * self.devices.world, self.sequences)
        return self.stream.batch(self.recipe.seed, 0, count, steps=1)

    def _say(self, progress: Progress, first: Progress, news: Mean) -> None:
        steps, seconds = progress.step - first.step, progress.seconds - first.seconds
        self.report(
            "step",
            step=progress.step,
            steps=progress.steps,
            **{name: round(value, 5) for name, value in news.means().items()},
            tokens=progress.tokens,
            tokens_per_s=round((progress.tokens - first.tokens) / max(seconds, 1e-9)),
            eta_s=round((progress.steps - progress.step) * seconds / max(steps, 1), 1),
        )

    def _save(self, progress: Progress) -> None:
        """Write a checkpoint; a state that has run away is never written over a good one.

        Raises TrainingFailed where the run ends in such a state.
        """
        began = self.devices.now()
        loss = self._present_loss()
        if not self.guard.sound(loss):
            self.report("unsound", step=progress.step, loss=loss if math.isfinite(loss) else None)
            if progress.step == progress.steps:
                raise ended_badly(loss, self.guard.initial, progress.steps)
            return
        checkpoints.save(self.run, progress, self.parameters, self.optimiser, self.devices)
        seconds = round(self.devices.now() - began, 3)
        self.report("checkpoint", step=progress.step, seconds=seconds)


def rate_at(step: int, steps: int, warmup: float) -> float:
    """The learning rate of a step as a fraction of the peak: a warm-up, then half a cosine to 0."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
