"""What is left of a part of measuring, by a clock that is told the time."""

import json
import time

import pytest

from boomerang.processes.reporting import Reporter, Stopped
from boomerang.quality.progress import Choosing, Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_what_is_left_is_by_the_pace_so_far(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(Reporter(), "measuring", "tokens")
    for now, tokens in ((100.0, 0), (104.0, 40), (106.0, 60), (107.0, 70)):
        clock[0] = now
        progress(tokens, 160)
    # Something else, for a minute, and then half as fast.
    clock[0] = 167.0
    progress.resume()
    clock[0] = 171.0
    progress(90, 160)
    clock[0] = 171.5
    progress(160, 160)
    event = {"event": "measuring", "of": 160}
    assert said(capsys) == [
        {**event, "tokens": 0, "eta_s": None},
        {**event, "tokens": 60, "eta_s": 10.0},
        {**event, "tokens": 90, "eta_s": 14.0},
        {**event, "tokens": 160, "eta_s": 0.0},
    ]


def test_a_choice_counts_what_it_looked_at_and_can_be_stopped(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Reporter()
    choosing = Choosing(report)
    choosing(0.0625, 96.0)
    clock[0] = 110.0
    choosing(48.0, 96.0)
    assert [event["looked"] for event in said(capsys)] == [1, 2]
    report.stopping = True
    with pytest.raises(Stopped):
        choosing(49.0, 96.0)
