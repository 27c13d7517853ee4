"""What checkpoints take of a run's time and memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from boomerang.distill import checkpoints
from boomerang.distill.checkpoints import RunCheckpoint
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.trainer import Trainer
from tests.distill.jobs import job, told

pytestmark = pytest.mark.slow("the trainer as a process: torch is loaded, and steps are made")


@pytest.mark.long("some hundred steps, timed")
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


@pytest.mark.long("the trainer as a process: torch is loaded, and steps are made")
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
