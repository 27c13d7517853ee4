"""What is said of devices, as a torch of the test's own tells of them in a process of its own."""

from pathlib import Path
from typing import Any

import pytest

from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor import machine
from boomerang.service.upkeep.doctor.machine import files, gpu, gpus

SETTINGS = Settings(home=Path("/nowhere"))


def device(**more: object) -> dict[str, Any]:
    return {"name": "H200", "memory": 100, "free": 90, "computes": True, "bf16": True, **more}


@pytest.mark.parametrize(
    ("found", "driver", "said"),
    [
        ({"devices": [device()]}, True, {"gpu": "ok"}),
        ({"devices": [device(computes=False)]}, True, {"gpu": "fail"}),
        ({"devices": [device(bf16=False, free=1)]}, True,
         {"gpu": "ok", "bfloat16": "warn", "gpu's memory": "warn"}),
        ({"devices": [device()] * 2, "nccl": False}, True, {"gpu": "ok", "nccl": "fail"}),
        ({"devices": [device()] * 2}, True, {"gpu": "ok"}),
        ({"devices": []}, True, {"gpu": "fail"}),
        ({"devices": [], "cuda": None}, True, {"gpu": "fail"}),
        ({"devices": [], "cuda": None}, False, {"gpu": "warn"}),
    ],
)  # fmt: skip
def test_what_is_said_of_devices(found: dict[str, Any], driver: bool, said: dict[str, str]) -> None:
    all_ = {"torch": "2", "cuda": "13", "nccl": True} | found
    assert {one.name: one.state for one in gpus(all_, driver)} == said


@pytest.mark.parametrize(
    ("torch", "state", "said"),
    [
        ("raise ModuleNotFoundError(\"No module named 'torch'\")", "ok", "There is no torch here"),
        ("raise ImportError('libcuda.so: wrong')", "fail", "libcuda.so: wrong"),
        ("import os; os.abort()", "fail", "without a word"),
        ("import time; time.sleep(60)", "fail", "has not computed anything"),
    ],
)
def test_a_torch_that_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: str, state: str, said: str
) -> None:
    (tmp_path / "torch.py").write_text(torch)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(machine, "GPU_SECONDS", 2.0 if "sleep" in torch else 60.0)
    [one] = gpu(SETTINGS)
    assert (one.state, said in one.said) == (state, True), one


def test_how_many_files_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "FEW_FILES", 1)
    assert [one.state for one in files(SETTINGS)] == ["ok"]
    monkeypatch.setattr(machine, "FEW_FILES", 1 << 62)
    assert [one.state for one in files(SETTINGS)] == ["warn"]
