"""How many steps fit into minutes, and at which rate each learns."""

from pathlib import Path
from typing import Any

import pytest

from boomerang.distill import pace
from boomerang.distill.learner import Learner
from boomerang.distill.objective.losses import Losses
from boomerang.distill.optimisers import rate_at
from boomerang.distill.trainer import Trainer
from boomerang.processes.reporting import Stopped
from tests.distill.jobs import job, told
from tests.distill.test_train import weights


def test_minutes_become_steps_and_the_trial_leaves_no_trace(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boomerang.distill.pace.TIMED", 0.0)
    fields = {"steps": None, "minutes": 0.005}
    status, said = told(job(folder, "a", recipe=fields), capsys)
    steps = said[0]["steps"]
    assert status == 0
    assert said[-3]["step"] == steps >= 1
    assert told(job(folder, "b", recipe={"steps": steps}), capsys)[0] == 0
    timed, counted = weights(folder, "a"), weights(folder, "b")
    assert all(timed[name].equal(counted[name]) for name in timed)


def test_the_learning_rate_rises_and_falls_as_half_a_cosine() -> None:
    rates = [rate_at(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] > 0
    assert rates[10] == max(rates) == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_minutes_are_timed_by_passes_however_large_a_step_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "TIMED", 0.0)
    counted, computes, passes = [0], Learner.losses, []

    def counts(self: Learner, *wanted: Any) -> Losses:
        counted[0] += 1
        return computes(self, *wanted)

    def says(self: Trainer, progress: Any) -> Any:
        passes.append(counted[0])
        raise Stopped

    monkeypatch.setattr(Learner, "losses", counts)
    monkeypatch.setattr(Trainer, "_begin", says)
    recipe = {"steps": None, "minutes": 0.005, "batch_tokens": 4096}
    assert told(job(folder, recipe=recipe), capsys)[0] == 143
    # A step has 128 of them.
    assert passes == [10]
