"""The steps of a run, from its beginning or a checkpoint, and what is said of them."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from boomerang.distill.checkpoints import Progress, RunCheckpoint, expected
from boomerang.distill.learner import Learner
from boomerang.distill.memory.available import available
from boomerang.distill.objective.losses import Mean
from boomerang.distill.optimisers import rate_at
from boomerang.distill.pace import Pace, steps_in
from boomerang.errors import TrainingFailed
from boomerang.processes.reporting import Stopped

RUNAWAY = 1.5
"""How far above the untrained student's a loss may be, as a factor."""
PATIENCE = 25
"""Steps in a row above it after which a run counts as diverged."""


@dataclass
class Guard:
    """Watches the losses of a run against `initial`, that of the student before any step."""

    initial: float
    above: int = 0

    def sound(self, loss: float) -> bool:
        """Whether a state with this loss is worth keeping."""
        return math.isfinite(loss) and loss <= RUNAWAY * self.initial

    def watch(self, step: int, steps: int, loss: float) -> None:
        """Take note of the loss of one step.

        Raises TrainingFailed where it is not finite, or was far above the initial one for
        PATIENCE steps in a row: a spike alone comes back by itself.
        """
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"The loss is not finite at step {step} of {steps} ({loss}).",
                value=step,
                fix="Lower the learning rate; the last checkpoint is from before it.",
            )
        self.above = 0 if self.sound(loss) else self.above + 1
        if self.above >= PATIENCE:
            raise TrainingFailed(
                f"The loss has diverged: {loss:.4g} at step {step} of {steps}, for "
                f"{self.above} steps above {RUNAWAY} times the {self.initial:.4g} of the "
                "untrained student.",
                value=step,
                fix="Lower the learning rate; the last checkpoint is from before it.",
            )


_SAVING = 0.03
"""The share of its time that a run spends on checkpoints, at most."""


@dataclass
class Trainer:
    """One distillation by a learner; `run` holds its checkpoint, `identity` names it."""

    learner: Learner
    run: Path
    identity: str
    checkpoint_seconds: float = 120.0
    report_seconds: float = 1.0
    guard: Guard = field(init=False, default_factory=lambda: Guard(math.inf))

    def __post_init__(self) -> None:
        self.recipe, self.stream = self.learner.recipe, self.learner.stream
        self.devices, self.report = self.learner.devices, self.learner.report
        weights, optimiser = self.learner.parameters, self.learner.optimiser
        self.checkpoint = RunCheckpoint(self.run, weights, optimiser, self.devices)

    def train(self) -> Progress:
        """Train until the recipe's steps are done.

        Raises Stopped, with a checkpoint written, where the process is asked to stop;
        TrainingFailed where the loss or its gradient is not finite, or the loss runs away: the
        checkpoint is then the last one that was good.
        """
        restored = self._restored()
        if restored is None:
            steps = self.recipe.steps or steps_in(self.recipe.minutes or 0, self.learner)
            restored = Progress(self.identity, 0, steps)
        progress = self._begin(restored)
        parameters = sum(p.numel() for p in self.learner.couple.student.model.parameters())
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
        progress = self.checkpoint.restore(self.identity)
        if self.devices.same(progress) != progress:
            raise TrainingFailed(
                "The processes of this run do not see the same checkpoint.",
                value=str(self.run),
                fix="The run folder must be one that all machines share.",
            )
        return progress

    def _begin(self, progress: Progress) -> Progress:
        """Say what the run will take, and learn the loss that it begins with."""
        learner, pace = self.learner, Pace.of(self.learner)
        learner.optimiser.zero_grad(set_to_none=True)
        initial = progress.initial
        if initial is None:
            initial = self._present_loss()
        self.guard = Guard(initial)
        left = progress.steps - progress.step
        # A stop waits for the pass that is under way, then looks at the loss, and writes.
        saving = 2 * pace.passing + expected(learner.parameters.values())
        estimate = learner.estimate
        self.report(
            "estimate",
            steps=progress.steps,
            tokens=progress.steps * self._step_tokens,
            seconds=round(pace.step(learner) * left, 1),
            saving_seconds=round(saving, 3),
            devices=self.devices.world,
            placement=learner.placement,
            memory_bytes=estimate.bytes(learner.micro_batch) if estimate else None,
            available_bytes=available(learner.where),
        )
        return replace(progress, initial=initial)

    @property
    def _step_tokens(self) -> int:
        return self.learner.sequences * self.stream.length

    def _step(self, progress: Progress, news: Mean) -> Progress:
        began = self.devices.now()
        rate = rate_at(progress.step, progress.steps, self.recipe.warmup)
        batch = self._batch(progress.step, progress.steps)
        self._update(batch, progress.step, progress.steps, rate, news)
        return progress.advanced(self._step_tokens, self.devices.now() - began)

    def _batch(self, step: int, steps: int) -> Tensor:
        """The sequences of a step, once they are tokenised. Raises Stopped while it waits."""
        sequences = self.learner.sequences
        self.devices.wait_for(lambda: self.stream.ready(step, sequences, steps), self.report)
        return self.stream.batch(self.recipe.seed, step, sequences, steps)

    def _update(self, batch: Tensor, step: int, steps: int, rate: float, news: Mean) -> None:
        losses = self.learner.gradients(batch, step, steps)
        news.merge(losses)
        self.guard.watch(step + 1, steps, losses.means()["loss"])
        self.learner.update(step, steps, rate, losses.means()["ce"])

    def _present_loss(self) -> float:
        return self.learner.evaluate(self.learner.first())["loss"]

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
                raise TrainingFailed(
                    f"After {progress.steps} steps the student's loss is {loss:.4g}, far above the "
                    f"{self.guard.initial:.4g} it began with.",
                    value=progress.steps,
                    fix="Lower the learning rate; the last checkpoint is from before it.",
                )
            return
        self.checkpoint.save(progress)
        seconds = round(self.devices.now() - began, 3)
        self.report("checkpoint", step=progress.step, seconds=seconds)
