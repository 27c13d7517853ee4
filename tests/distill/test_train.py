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
from safetensors.torch import load_file

from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair
from boomerang.modules.causal import Causal
from boomerang.quality import __main__ as measurer
from tests.distill.jobs import events, job, save_texts, save_tokenizer, told

pytestmark = pytest.mark.slow("the trainer as a process: torch is loaded, and steps are made")

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


@pytest.mark.long("the trainer as a process: torch is loaded, and steps are made")
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


@pytest.mark.long("the trainer as a process, killed and begun again")
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


@pytest.mark.long("the trainer as a process: torch is loaded, and steps are made")
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
