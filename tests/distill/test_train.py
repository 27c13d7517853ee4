"""The trainer as a process: what it says, how it stops, how it goes on, what it leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from boomerang.checkpoint.table import Checkpoint
from boomerang.distill import checkpoints, pace
from boomerang.distill.checkpoints import RunCheckpoint
from boomerang.distill.learner import Learner
from boomerang.distill.objective.losses import Losses
from boomerang.distill.optimisers import rate_at
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.trainer import Trainer
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.processes.reporting import Stopped
from boomerang.quality import __main__ as measurer
from tests.distill.jobs import events, job, save_texts, save_tokenizer, told

LONG = {"steps": 4000}
"""More steps than any of these tests waits for."""


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return load_file(folder / f"{name}-student" / "model.safetensors")


def test_a_job_makes_a_student_and_says_what_made_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told(job(folder, report_seconds=3600), capsys)
    assert status == 0
    assert [e["event"] for e in said] == ["estimate", "start", "step", "checkpoint", "done"]
    assert said[1]["steps"] == said[2]["step"] == said[2]["steps"] == 6
    assert said[2]["loss"] == pytest.approx(
        said[2]["ce"] + 0.1 * said[2]["kl"] + 2 * said[2]["cosine"], abs=1e-3
    )
    out = folder / "a-student"
    record = json.loads((out / "boomerang.json").read_text())
    assert (record["key"], record["kept"], record["layers"]) == ("k" * 32, [0, 2, 4, 6, 7], 8)
    assert (record["steps"], record["tokens"]) == (6, 6 * 64)
    assert record["frozen_embeddings"] is True
    assert set(record["final"]) == {"loss", "ce", "kl", "cosine"}
    pair = Pair.of(Checkpoint.open(folder / "teacher"), Checkpoint.open(out))
    assert pair.shared_embeddings
    teacher = load_file(folder / "teacher" / "model.safetensors")
    student = load_file(out / "model.safetensors")
    assert not student["model.norm.weight"].equal(teacher["model.norm.weight"])
    assert not any(p.name.endswith(".partial") for p in folder.iterdir())
    again, said = told(job(folder), capsys)
    assert (again, [e["event"] for e in said]) == (0, ["done"])


def test_a_teacher_whose_texts_begin_with_a_token_sees_it_in_training_and_in_measuring(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tokenizer(folder / "teacher", begin="<s>")
    read: list[torch.Tensor] = []
    embed = Causal.embed

    def seen(self: Causal, ids: torch.Tensor, *more: Any) -> torch.Tensor:
        read.append(ids)
        return embed(self, ids, *more)

    monkeypatch.setattr(Causal, "embed", seen)
    status, _ = told(job(folder, recipe={"steps": 2, "separate_documents": True}), capsys)
    asked = {
        "teacher": str(folder / "teacher"), "student": str(folder / "a-student"),
        "data": str(folder / "texts"), "sequence_length": 16, "heldout_tokens": 64,
        "calibration_tokens": 64, "order": "last", "naive": False,
    }  # fmt: skip
    (folder / "measure.json").write_text(json.dumps(asked))
    trained, read[:] = read[:], []
    assert (status, measurer.main([str(folder / "measure.json")])) == (0, 0)
    capsys.readouterr()
    for ids in (*trained, *read):
        assert ids.min() >= 0
        # Where a passage goes on from a known one, only the token that follows is read.
        if ids.shape[1] > 1:
            assert (ids[:, :2] == 1).any(-1).all()


def test_training_lowers_the_loss(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(job(folder, "short", recipe={"steps": 1, "learning_rate": 1e-6}), capsys)
    told(job(folder, "long", recipe={"steps": 60, "patch_probability": 0}), capsys)
    short, long = (
        json.loads((folder / f"{name}-student/boomerang.json").read_text())["final"]
        for name in ("short", "long")
    )
    assert long["loss"] < 0.9 * short["loss"]
    assert long["cosine"] < 0.8 * short["cosine"]


def test_embeddings_train_where_the_recipe_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = told(job(folder, recipe={"freeze_embeddings": False}), capsys)
    assert status == 0
    teacher = load_file(folder / "teacher" / "model.safetensors")
    name = "model.embed_tokens.weight"
    assert not weights(folder, "a")[name].equal(teacher[name])
    assert (
        json.loads((folder / "a-student/boomerang.json").read_text())["frozen_embeddings"] is False
    )


def begin(path: Path, *, until: str) -> subprocess.Popen[str]:
    """Start the trainer, and wait for an event."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "boomerang.distill", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == until:
            return process
    raise AssertionError(f"It ended with status {process.wait()} before {until!r}.")


def test_told_to_stop_it_writes_a_checkpoint_and_goes_on_from_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {"steps": 60}
    path = job(folder, "a", recipe=recipe, checkpoint_seconds=0)
    process = begin(path, until="checkpoint")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    last = events(output)[-1]
    assert last["event"] == "checkpoint"
    assert 0 < last["step"] < 60
    assert not (folder / "a-student").exists()
    status, said = told(path, capsys)
    assert (status, said[1]["step"], said[1]["steps"]) == (0, last["step"], 60)
    assert told(job(folder, "b", recipe=recipe), capsys)[0] == 0
    once, resumed = weights(folder, "b"), weights(folder, "a")
    assert once.keys() == resumed.keys()
    assert all(once[name].equal(resumed[name]) for name in once)
    final = [
        json.loads((folder / f"{name}-student/boomerang.json").read_text())["final"]
        for name in ("a", "b")
    ]
    assert final[0] == final[1]


def test_killed_it_leaves_no_student_and_its_lock_is_free(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(folder, recipe=LONG, checkpoint_seconds=0)
    process = begin(path, until="checkpoint")
    status, said = told(path, capsys)
    assert (status, said[-1]["slug"]) == (1, "training-failed")
    assert "Another process" in said[-1]["detail"]
    process.kill()
    process.communicate(timeout=60)
    assert not list(folder.glob("*student*"))
    process = begin(path, until="start")
    process.kill()
    process.communicate(timeout=60)


def test_it_stops_when_its_parent_dies(folder: Path) -> None:
    path = job(folder, recipe=LONG)
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'boomerang.distill', {str(path)!r}],\n"
        "    stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate(timeout=60)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


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


def test_a_loss_that_is_not_a_number_ends_the_run_with_its_cause(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told(job(folder, recipe={"learning_rate": 1e30, "steps": 50}), capsys)
    assert (status, said[-1]["event"], said[-1]["slug"]) == (1, "error", "training-failed")
    assert "not finite at step" in said[-1]["detail"]
    assert "learning rate" in said[-1]["fix"]
    assert not (folder / "a-student").exists()


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"data": "nowhere"}, "bad-recipe"),
        ({"recipe": {"steps": 3, "speed": 9}}, "bad-recipe"),
        ({"kept": [1, 2]}, "student-mismatch"),
        ({"teacher": "nowhere"}, "teacher-not-found"),
        ({"colour": "blue"}, "bad-recipe"),
    ],
)
def test_bad_input_is_an_error_event(
    change: dict[str, Any], slug: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    status, said = told(path, capsys)
    assert (status, said[-1]["event"], said[-1]["slug"]) == (1, "error", slug)
    assert said[-1]["fix"]


def test_a_text_too_short_and_an_unknown_architecture_are_errors(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_texts(folder / "texts", documents=1)
    (folder / "texts" / "train.jsonl").write_text('{"text": "w1 w2"}\n' * 99)
    status, said = told(job(folder, recipe={"sequence_length": 64}), capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-recipe")
    assert [e["event"] for e in said] == ["error"]
    assert "calibration split has 21 tokens" in said[-1]["detail"]
    config = folder / "teacher" / "config.json"
    config.write_text(config.read_text().replace('"qwen3"', '"mamba"'))
    status, said = told(job(folder), capsys)
    assert (status, said[-1]["slug"]) == (1, "unsupported-architecture")


def test_a_folder_that_is_taken_and_a_run_of_another_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(job(folder), capsys)[0] == 0
    status, said = told(job(folder, key="other"), capsys)
    assert (status, said[-1]["slug"]) == (1, "training-failed")
    assert "never overwritten" in said[-1]["fix"]
    away = job(folder, key="other", out=str(folder / "elsewhere"))
    status, said = told(away, capsys)
    assert (status, said[-1]["slug"]) == (1, "training-failed")
    assert "another student" in said[-1]["detail"]


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


def test_checkpoints_take_a_small_share_of_the_time_and_say_how_long_they_took(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saves, clock = RunCheckpoint.save, [0.0]

    def slow(*what: Any) -> None:
        clock[0] += 10
        saves(*what)

    def steps(self: Trainer, *what: Any) -> None:
        clock[0] += 1
        trains(self, *what)

    trains = Trainer._update
    monkeypatch.setattr(Trainer, "_update", steps)
    monkeypatch.setattr(RunCheckpoint, "save", slow)
    monkeypatch.setattr(Devices, "now", lambda self: clock[0])
    path = job(folder, recipe={"steps": 360}, checkpoint_seconds=2, report_seconds=1e9)
    status, said = told(path, capsys)
    written = [e for e in said if e["event"] == "checkpoint"]
    assert status == 0
    assert [e["step"] for e in written] == [2, 336, 360]
    assert {e["seconds"] for e in written} == {10.0}


def test_what_a_checkpoint_will_take_is_said_before_the_first_step(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "RATE", 1e3)
    status, said = told(job(folder), capsys)
    written = load_file(folder / "a-run/checkpoint.safetensors")
    each = sum(t.numel() * t.itemsize for name, t in written.items() if name[:5] != "step/")
    assert status == 0
    # And two passes before it is written.
    assert each / 1e3 < said[0]["saving_seconds"] < each / 1e3 + 10


def test_a_checkpoint_is_written_without_a_second_copy_in_memory(tmp_path: Path) -> None:
    code = (
        "import resource, sys, torch\n"
        "from pathlib import Path\n"
        "from boomerang.distill import checkpoints\n"
        "from boomerang.distill.parallel.devices import Devices\n"
        "weights = {str(i): torch.nn.Parameter(torch.ones(1 << 22)) for i in range(8)}\n"
        "optimiser = torch.optim.AdamW(weights.values(), lr=0.0, fused=True)\n"
        "for weight in weights.values():\n"
        "    weight.grad = torch.zeros_like(weight)\n"
        "optimiser.step()\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "progress = checkpoints.Progress('a', 1, 2)\n"
        "run = Path(sys.argv[1])\n"
        "checkpoints.RunCheckpoint(run, weights, optimiser, Devices()).save(progress)\n"
        "print(peak() - before)\n"
    )
    told_ = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True
    )
    # Weights and moments are 384 MiB.
    assert int(told_.stdout) < 96 * 1024
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as saved:
        assert saved.get_tensor("weight/7").equal(torch.ones(1 << 22))
        assert float(saved.get_tensor("step/7")) == 1
