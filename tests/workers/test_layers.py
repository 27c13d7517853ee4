"""Which layers a student keeps, measured by workers of which some are lost on the way."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import StudentState
from boomerang.recipes.recipe import Recipe
from tests.workers.conftest import Backend, on_both, wait_for

pytestmark = pytest.mark.long("real workers with processes of their own")

KEY = "a" * 32
FIELDS = {"steps": 4, "batch_tokens": 64, "sequence_length": 16, "learning_rate": 1e-3}
RECIPE = Recipe.parse({**FIELDS, "name": "quick", "map": "similarity"}).model_dump(mode="json")

MEASURER = """
import json, os, pathlib, sys, time
job = json.loads(pathlib.Path(sys.argv[1]).read_text())
run = pathlib.Path(sys.argv[1]).parent
def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)
if "rule" not in job:
    say("order", order="last", patch_order=[0], calibration_kl={}, note=None)
    say("done")
    sys.exit()
first = not (run / "started").exists()
(run / "started").touch()
say("mapping", rule=job["rule"], done=1, of=2)
while first and not (run / "go").exists():
    time.sleep(0.05)
if not first and (run / "crash").exists():
    say("error", slug="bad-recipe", detail="Not text.", value=None, fix="Give text.")
    sys.exit(1)
say("map", rule=job["rule"], kept=[0, 1, 3] if first else [0, 2, 3], layers=4, reason=None)
say("done")
"""
"""Finds other layers the second time; the first time it waits to be told to."""


@pytest.fixture
def measured(backend: Backend, tmp_path: Path) -> Backend:
    """A back end whose measurer is the one above."""
    script = tmp_path / "measurer.py"
    script.write_text(MEASURER)
    command = (sys.executable, str(script))
    backend.settings = backend.settings.model_copy(update={"measurer": command})
    return backend


def run(backend: Backend) -> Path:
    return backend.settings.run_folder(KEY) / "map"


def payloads(backend: Backend, kind: str) -> list[dict[str, Any]]:
    return [event.payload for event in backend.catalog.events_after(0) if event.kind == kind]


def ask(backend: Backend, **asked: Any) -> str:
    return backend.ask("", recipe=RECIPE, map_rule="similarity", **asked).family.id


def freeze(backend: Backend, pid: int) -> None:
    """Stop a worker, not in the middle of a change of SQLite's file: that would stop all others."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with backend.catalog.db.write():
                return
        except OperationalError:
            os.kill(pid, signal.SIGCONT)
            # Long enough to end that change in.
            time.sleep(0.3)


@on_both
@pytest.mark.long("real workers with processes of their own")
def test_of_two_workers_that_measure_something_else_one_pins(measured: Backend) -> None:
    backend = measured
    first = backend.worker("first")
    family = ask(backend, requests=(NewRequest(kind="build", what="*"),))
    wait_for(lambda: (run(backend) / "started").exists() and payloads(backend, "mapping"))
    assert backend.catalog.student(KEY).provisional
    assert first.pid is not None
    freeze(backend, first.pid)
    backend.worker("second")
    wait_for(lambda: backend.catalog.student(KEY).pinned)
    # The first one finds other layers now, and that it is too late.
    (run(backend) / "go").touch()
    os.kill(first.pid, signal.SIGCONT)
    wait_for(lambda: backend.catalog.student(KEY).state is StudentState.READY)
    (told,) = payloads(backend, "map")
    assert told == {"rule": "similarity", "kept": [0, 2, 3], "layers": 4, "reason": None}
    assert backend.catalog.student(KEY).kept == (0, 2, 3)
    job = json.loads((backend.settings.run_folder(KEY) / "job.json").read_text())
    assert job["kept"] == [0, 2, 3]
    assert [member.layers for member in backend.catalog.members(family)] == [3, 4]
    assert payloads(backend, "mapping")[0] == {"rule": "similarity", "done": 1, "of": 2}


def test_a_worker_that_is_killed_while_it_measures_is_followed_by_another(
    measured: Backend,
) -> None:
    backend = measured
    first = backend.worker("first")
    ask(backend)
    wait_for(lambda: (run(backend) / "started").exists())
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    backend.worker("second")
    wait_for(lambda: backend.catalog.student(KEY).state is StudentState.READY)
    assert backend.catalog.student(KEY).kept == (0, 2, 3)
    assert len(backend.trainers()) == 1


def test_what_cannot_be_measured_fails_with_its_reason(measured: Backend) -> None:
    backend = measured
    run(backend).mkdir(parents=True)
    for name in ("started", "crash"):
        (run(backend) / name).touch()
    backend.worker()
    ask(backend)
    wait_for(lambda: backend.catalog.student(KEY).state is StudentState.FAILED)
    student = backend.catalog.student(KEY)
    assert (student.reason, student.provisional) == ("Not text. Give text.", True)
    assert backend.trainers() == []
