"""What a run survives: being killed, running out of memory, running away."""

import errno
import json
import math
import os
import random
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from boomerang.distill import distillation, learner, pace, trainer
from boomerang.distill.learner import Learner
from boomerang.distill.memory import available
from boomerang.distill.objective.losses import Losses
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.trainer import Trainer
from boomerang.errors import MAKE_ROOM
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.processes.reporting import Stopped, locked
from tests.distill.jobs import events, job, told
from tests.distill.test_train import begin

EACH = {"checkpoint_seconds": 0, "report_seconds": 0}
"""A checkpoint and an event for each step."""


def curve(said: list[dict[str, Any]]) -> dict[int, float]:
    return {e["step"]: e["loss"] for e in said if e["event"] == "step"}


def of_kind(said: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [e for e in said if e["event"] == kind]


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}-student" / "model.safetensors")


def killed(path: Path, upto: int) -> dict[int, float]:
    """Run a job, kill it soon after a step, and return the losses that it told."""
    seen: dict[int, float] = {}
    process = begin(path, until="start")
    assert process.stdout is not None
    while max(seen, default=0) < upto:
        seen |= curve(events(process.stdout.readline()))
    process.kill()
    rest, _ = process.communicate(timeout=60)
    return seen | curve(events(rest[: rest.rfind("\n") + 1]))


@pytest.mark.long("a training that is begun four times")
def test_killed_three_times_its_loss_curve_is_that_of_an_uninterrupted_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"steps": 80}
    path = job(folder, "killed", recipe=recipe, **EACH)
    seen: dict[int, float] = {}
    draw = random.Random()
    for _ in range(3):
        process = begin(path, until="start")
        assert process.stdout is not None
        # At any moment of a step or of writing its checkpoint.
        for _ in range(draw.randrange(4, 24)):
            line = process.stdout.readline()
            seen |= curve(events(line))
        process.kill()
        rest, _ = process.communicate(timeout=60)
        seen |= curve(events(rest[: rest.rfind("\n") + 1]))
        assert not (folder / "killed-student").exists()
    status, said = told(path, capsys)
    (start,) = of_kind(said, "start")
    assert status == 0
    assert 0 < start["step"] < 80
    seen |= curve(said)
    status, said = told(job(folder, "once", recipe=recipe, **EACH), capsys)
    assert status == 0
    assert seen.keys() == curve(said).keys() == set(range(1, 81))
    assert seen == pytest.approx(curve(said), abs=1e-4)
    killed, once = weights(folder, "killed"), weights(folder, "once")
    assert all(once[name].equal(killed[name]) for name in once)


def breaks_after(step: int, by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the weights go wrong in one step, counted from 1."""
    trains = Trainer._update

    def breaks(self: Trainer, batch: torch.Tensor, at: int, *more: Any) -> None:
        trains(self, batch, at, *more)
        if at + 1 == step:
            with torch.no_grad():
                for weight in self.learner.parameters.values():
                    weight.add_(by)

    monkeypatch.setattr(Trainer, "_update", breaks)


@pytest.mark.long("trainings until they diverge")
@pytest.mark.parametrize("kind", ["diverges", "not a number"])
def test_a_loss_that_runs_away_ends_the_run_and_keeps_the_last_good_checkpoint(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "PATIENCE", 5)
    breaks_after(21, 3.0 if kind == "diverges" else math.nan, monkeypatch)
    status, said = told(job(folder, recipe={"steps": 40}, **EACH), capsys)
    assert (status, said[-1]["slug"]) == (1, "training-failed")
    last = of_kind(said, "checkpoint")[-1]["step"]
    stopped = said[-1]["value"]
    assert (last, stopped) == ((20, 26) if kind == "diverges" else (20, 22))
    assert ("has diverged" if kind == "diverges" else "not finite") in said[-1]["detail"]
    with safe_open(folder / "a-run/checkpoint.safetensors", "pt") as saved:
        assert json.loads(saved.metadata()["progress"])["step"] == 20
        assert all(torch.isfinite(saved.get_tensor(name)).all() for name in saved.keys())  # noqa: SIM118
    monkeypatch.undo()
    status, said = told(job(folder, recipe={"steps": 40}, **EACH), capsys)
    assert (status, of_kind(said, "start")[0]["step"]) == (0, 20)


def test_a_run_that_ends_far_above_its_beginning_makes_no_student(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_after(6, 3.0, monkeypatch)
    status, said = told(job(folder), capsys)
    assert (status, said[-1]["slug"]) == (1, "training-failed")
    assert "far above" in said[-1]["detail"]
    assert not (folder / "a-student").exists()
    assert not (folder / "a-run/checkpoint.safetensors").exists()


@pytest.mark.long("trainings once more with less at a time")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_out_of_memory_halves_the_micro_batch_and_nothing_else_changes(
    error: Exception,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = {"steps": 12, "micro_batch": 4}
    assert told(job(folder, "roomy", recipe=recipe), capsys)[0] == 0
    passes, computes = [0], Learner.losses

    def narrow(self: Learner, composition: Any, ids: torch.Tensor) -> Losses:
        passes[0] += 1
        # Room enough at first, and then for two sequences only.
        if passes[0] > 6 and len(ids) > 2:
            raise error
        return computes(self, composition, ids)

    monkeypatch.setattr(Learner, "losses", narrow)
    status, said = told(job(folder, "narrow", recipe=recipe, report_seconds=0), capsys)
    assert status == 0
    (halved,) = of_kind(said, "memory")
    assert (halved["before"], halved["micro_batch"]) == (4, 2)
    assert halved["step"] > 1
    roomy, narrowed = weights(folder, "roomy"), weights(folder, "narrow")
    for name in roomy:
        torch.testing.assert_close(narrowed[name], roomy[name], rtol=1e-3, atol=1e-4)


def test_out_of_memory_in_a_trial_pass_halves_the_micro_batch_and_times_again(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trial passes are patched, and take more than the first one, which is not."""
    monkeypatch.setattr(pace, "TIMED", 0.0)
    sizes, computes = list[int](), Learner.losses
    whole = Composition.patched(LayerMap.from_kept([0, 2, 4, 6, 7], 8), ())

    def narrow(self: Learner, composition: Composition, ids: torch.Tensor) -> Losses:
        sizes.append(len(ids))
        if composition != whole and len(ids) > 2:
            raise MemoryError
        return computes(self, composition, ids)

    def says(self: Trainer, progress: Any) -> Any:
        raise Stopped

    monkeypatch.setattr(Learner, "losses", narrow)
    monkeypatch.setattr(Trainer, "_begin", says)
    recipe = {"steps": None, "minutes": 0.005, "micro_batch": 4, "patch_probability": 1.0}
    status, said = told(job(folder, recipe=recipe), capsys)
    assert (status, [(e["before"], e["micro_batch"]) for e in said]) == (143, [(4, 2)])
    # A step, a first pass and one that is patched; then again, from the first pass on.
    assert sizes == [4] * 3 + [2] * (1 + pace._TRIALS)


def test_the_time_of_a_step_has_one_reduction_however_many_passes_it_has(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, computes = [0.0], Learner.losses

    def passes(self: Learner, *wanted: Any) -> Losses:
        clock[0] += 1
        return computes(self, *wanted)

    def reduces(*_: object) -> None:
        clock[0] += 26

    def says(self: Trainer, progress: Any) -> Any:
        begins(self, progress)
        raise Stopped

    begins = Trainer._begin
    monkeypatch.setattr(Learner, "losses", passes)
    monkeypatch.setattr(learner, "sum_gradients", reduces)
    monkeypatch.setattr(Trainer, "_begin", says)
    monkeypatch.setattr(Devices, "now", lambda self: clock[0])
    recipe = {"steps": None, "minutes": 5, "batch_tokens": 8 * 16}
    status, (said,) = told(job(folder, recipe=recipe), capsys)
    # 8 sequences, two at a time: 4 seconds of passes, and 26 of the reduction.
    assert (status, said["steps"], said["seconds"]) == (143, 10, 300)


def test_a_micro_batch_that_was_found_out_before_is_begun_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"steps": 6, "micro_batch": 4}
    assert told(job(folder, "roomy", recipe=recipe), capsys)[0] == 0
    status, said = told(job(folder, "narrow", recipe=recipe, micro_batch=1), capsys)
    assert (status, of_kind(said, "memory")) == (0, [])
    roomy, narrow = weights(folder, "roomy"), weights(folder, "narrow")
    for name in roomy:
        torch.testing.assert_close(narrow[name], roomy[name], rtol=1e-3, atol=1e-4)


def test_what_is_no_fault_of_the_job_is_said_to_pass(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(folder / "a-run"):
        status, (error,) = told(job(folder), capsys)
    assert (status, error["transient"]) == (1, True)
    assert "Another process works" in error["detail"]

    def breaks(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(Learner, "losses", breaks)
    assert told(job(folder), capsys)[1][-1]["transient"] is True
    for full in (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("I/O error: Disk quota exceeded (os error 122)"),
    ):
        monkeypatch.setattr(Learner, "losses", Mock(side_effect=full))
        error = told(job(folder), capsys)[1][-1]
        assert (error["transient"], error["fix"]) == (True, MAKE_ROOM)
    monkeypatch.undo()
    assert told(job(folder, data=None), capsys)[1][-1]["transient"] is False


def test_where_not_even_one_sequence_fits_the_run_fails_and_other_errors_are_no_memory(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    says = [""]

    def fails(*_: object) -> None:
        raise RuntimeError(says[0])

    monkeypatch.setattr(Learner, "losses", fails)
    for says[0], expected in (("out of memory", "One sequence"), ("a bug", "stopped: a bug")):
        status, told_ = told(job(folder), capsys)
        assert (status, told_[-1]["slug"]) == (1, "training-failed")
        assert expected in told_[-1]["detail"]


def test_what_it_will_take_is_said_before_the_first_step_and_what_cannot_fit_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, said = told(job(folder), capsys)
    told_ = said[0]
    assert (status, told_["event"], told_["steps"], told_["tokens"]) == (0, "estimate", 6, 6 * 64)
    assert told_["seconds"] > 0
    # Teacher in float32, student with gradient and optimiser, two sequences.
    teacher = sum(t.numel() for t in load_file(folder / "teacher/model.safetensors").values())
    student = sum(t.numel() for t in weights(folder, "a").values())
    embeddings = 48 * 16
    state = 4 * teacher + 16 * (student - embeddings)
    each = (told_["memory_bytes"] - state) // 2
    assert 100_000 < each < 300_000
    assert told_["available_bytes"] > told_["memory_bytes"]
    monkeypatch.setattr(distillation, "available", lambda _: state)
    status, said = told(job(folder, "b"), capsys)
    assert (status, [e["event"] for e in said]) == (1, ["error"])
    assert said[0]["slug"] == "training-failed"
    assert "needs at least 0.00 GiB" in said[0]["detail"]
    assert said[0]["value"] == state + each
    assert "activation_checkpointing" in said[0]["fix"]
    assert "adamw8bit" in said[0]["fix"]


def test_memory_that_caches_hold_counts_as_free(tmp_path: Path) -> None:
    files = {"max": "1000\n", "current": "900\n", "stat": "anon 300\ninactive_file 550\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in files]
    assert available._left(*paths, "inactive_file") == 650
    (tmp_path / "max").write_text("max\n")
    assert available._left(*paths, "inactive_file") is None
    assert available.available(torch.device("cpu")) > 0
