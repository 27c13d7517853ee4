"""A child that is asked: what it answers, and what becomes of it when something goes wrong."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boomerang.errors import Interrupted
from boomerang.processes.dialogue import AskFailed, Dialogue
from boomerang.processes.json_lines import JobFailed

ANSWERS = """
import json, sys, threading, queue
def say(**event): print(json.dumps(event), flush=True)
said, gone = queue.Queue(), set()
def read():
    for line in sys.stdin:
        one = json.loads(line)
        gone.add(one["cancel"]) if "cancel" in one else said.put(one)
threading.Thread(target=read, daemon=True).start()
say(event="ready", job=json.load(open(sys.argv[1])))
while True:
    one = said.get()
    which = one["id"]
    if one["do"] == "refuse":
        say(event="failed", id=which, reason="No.", fix="Ask again.")
    elif one["do"] == "die":
        sys.exit("It fell over.")
    elif one["do"] == "hang":
        pass
    else:
        for at in range(one["count"]):
            if which in gone:
                break
            say(event="text", id=which, text=str(at))
            threading.Event().wait(0.01)
        say(event="done", id=which, cancelled=which in gone)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Dialogue]:
    with Dialogue([sys.executable, "-c", ANSWERS], {"name": "ä"}, tmp_path) as made:
        yield made


def test_it_is_ready_and_answers_in_turn(child: Dialogue) -> None:
    assert child.ready["job"] == {"name": "ä"}
    for count in (3, 1):
        events = list(child.ask({"do": "count", "count": count}))
        assert [event["event"] for event in events] == ["text"] * count + ["done"]


def test_what_it_refuses_it_says_and_goes_on(child: Dialogue) -> None:
    with pytest.raises(AskFailed, match=r"No\. Ask again\."):
        list(child.ask({"do": "refuse"}))
    assert list(child.ask({"do": "count", "count": 0}))[-1]["event"] == "done"


def test_an_answer_that_is_left_is_cancelled_and_over_before_the_next(child: Dialogue) -> None:
    left = child.ask({"do": "count", "count": 10_000})
    next(left)
    left.close()
    assert [e["event"] for e in child.ask({"do": "count", "count": 0})] == ["done"]


def test_a_death_says_its_last_words(child: Dialogue) -> None:
    with pytest.raises(Interrupted, match="status 1: It fell over"):
        list(child.ask({"do": "die"}))
    assert not child.alive
    with pytest.raises(Interrupted):
        list(child.ask({"do": "count", "count": 1}))


def test_a_silence_has_an_end(child: Dialogue) -> None:
    with pytest.raises(Interrupted, match="silent"):
        list(child.ask({"do": "hang"}, wait_s=0.2))


def test_one_that_cannot_begin_says_why(tmp_path: Path) -> None:
    refuses = "import json; print(json.dumps({'event': 'error', 'detail': 'No pair.'}))"
    with pytest.raises(JobFailed, match="No pair"):
        Dialogue([sys.executable, "-c", refuses], {}, tmp_path)
