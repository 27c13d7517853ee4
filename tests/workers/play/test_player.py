"""The child that has a pair in memory: what it may keep others waiting for."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from boomerang.service.playing.asked import Question
from boomerang.service.settings import Settings
from tests.workers.conftest import HERE
from workers.play import player
from workers.play.player import PairInMemory, Player

pytestmark = pytest.mark.slow("processes that play")
FAKE = (sys.executable, str(HERE / "play/fake_player.py"))


def test_a_child_that_says_nothing_more_is_ended_though_somebody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "SILENT_SECONDS", 1.0)
    told: list[dict[str, Any]] = []
    mine = Player(Settings(home=tmp_path, player=FAKE, stop_seconds=1.0), threading.Event())
    pair = PairInMemory(str(tmp_path / "teacher"), str(tmp_path / "student"), (0,), "x")
    nobody_leaves = threading.Event()

    def asked(id_: str, prompt: str) -> str:
        question = Question(prompt=prompt, max_tokens=2)
        return mine.answer(pair, "s", id_, question, told.append, nobody_leaves)

    try:
        started = time.monotonic()
        assert asked("1", "hang") == "killed"
        assert time.monotonic() - started < 10
        assert told[-1]["event"] == "failed"
        assert "said nothing" in told[-1]["reason"]
        assert told[-1]["again"] is True
        assert asked("2", "fine") == "length"
    finally:
        mine.close()
