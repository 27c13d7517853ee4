"""How a process is watched: how long it may take to stop, and how its end is read."""

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from boomerang.processes.json_lines import Ending, run

WRITES = """
import json, signal, sys, time
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
print(json.dumps({"event": "checkpoint", "step": 1, "seconds": 1.0}), flush=True)
while not stop:
    time.sleep(0.02)
time.sleep(1.2)
print(json.dumps({"event": "checkpoint", "step": 2, "seconds": 1.2}), flush=True)
sys.exit(143)
"""
"""A trainer whose checkpoint takes longer than the time that it is given to stop."""
ESTIMATES = WRITES.replace('"checkpoint", "step": 1, "seconds"', '"estimate", "saving_seconds"')
"""One that has not written any before."""


@pytest.mark.parametrize("trainer", [WRITES, ESTIMATES], ids=["known", "expected"])
def test_a_stop_waits_as_long_as_a_checkpoint_takes(trainer: str, tmp_path: Path) -> None:
    said: list[dict[str, Any]] = []
    ended = threading.Event()

    def on_event(event: dict[str, Any]) -> None:
        said.append(event)
        ended.set()

    outcome = run([sys.executable, "-c", trainer], {}, tmp_path, on_event, ended, 0.1)
    assert (len(said), said[-1]["step"]) == (2, 2)
    assert (outcome.code, outcome.ending) == (143, Ending.DIED)


def test_where_what_it_says_cannot_be_kept_it_is_stopped_in_good_order(tmp_path: Path) -> None:
    threads = threading.active_count()

    def refuse(_: dict[str, Any]) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        run([sys.executable, "-c", WRITES + "open('kept', 'w')"], {}, tmp_path, refuse, None, 0.1)
    assert threading.active_count() == threads
