"""When a run must end: a loss that is no number, or one that ran away and stays there."""

import math
from dataclasses import dataclass

from boomerang.errors import TrainingFailed

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


def ended_badly(loss: float, initial: float, steps: int) -> TrainingFailed:
    """The error for a run whose last state is not worth keeping."""
    return TrainingFailed(
        f"After {steps} steps the student's loss is {loss:.4g}, far above the {initial:.4g} it "
        "began with.",
        value=steps,
        fix="Lower the learning rate; the last checkpoint is from before it.",
    )
