"""How long the steps of a run take, by a few passes that change nothing."""

import itertools
import math
from dataclasses import dataclass

import torch

from boomerang.distill.learner import Learner

TIMED = 2.0
"""Seconds of trial passes, at least, from which `minutes` is turned into a number of steps."""
_TRIALS = 8
"""How many of them there are at least."""
_SCHEDULE, _STRIDE = 1000, 617
"""The steps of their schedule, and how far it is from one to the next: no part of it is missed."""


@dataclass(frozen=True)
class Pace:
    """Seconds of one pass, and of the reduction that a step has once."""

    passing: float
    summing: float

    @classmethod
    def of(cls, learner: Learner, trials: int = 1, least: float = 0.0, schedule: int = 1) -> "Pace":
        """By `trials` passes, and `least` seconds of them, spread over a schedule's steps.

        Leaves gradients. Where memory runs out they are timed again, with fewer sequences.
        """

        def work() -> Pace:
            batch, done = learner.first(), 0
            # The first ones compile kernels and connect devices.
            learner.passes(batch, 0, schedule)
            learner.sum()
            began = _now(learner)
            for done in itertools.count(1):
                learner.passes(batch, done * _STRIDE % schedule, schedule)
                if done >= trials and learner.devices.now() - began >= least:
                    break
            passed = _now(learner)
            learner.sum()
            return cls((passed - began) / done, _now(learner) - passed)

        return learner.fitting(work, 0)

    def step(self, learner: Learner) -> float:
        """Seconds of the passes and the reduction of one step."""
        return learner.rounds * self.passing + self.summing


def steps_in(minutes: float, learner: Learner) -> int:
    """How many steps fit into so many minutes.

    Passes are spread over the schedule, because patched ones cost something else than plain ones.
    At a learning rate of zero AdamW leaves the weights as they are; its state is forgotten.
    """
    losses = learner.gradients(learner.first(), 0, _SCHEDULE)
    learner.update(0, _SCHEDULE, 0.0, losses.means()["ce"])
    pace = Pace.of(learner, _TRIALS, TIMED, _SCHEDULE)
    began = _now(learner)
    learner.update(1, 1, 0.0, math.nan)
    each = pace.step(learner) + _now(learner) - began
    learner.optimiser.state.clear()
    learner.optimiser.zero_grad(set_to_none=True)
    return max(1, round(minutes * 60 / each))


def _now(learner: Learner) -> float:
    """Seconds on the clock of all, once a GPU has done what it was asked to do."""
    if learner.where.type == "cuda":
        torch.cuda.synchronize(learner.where)
    return learner.devices.now()
