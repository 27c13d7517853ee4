"""The process that holds a pair: what it answers, what it refuses, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from boomerang.assembly.bytefile import write_folder
from boomerang.assembly.stitch import member_files
from boomerang.errors import Interrupted
from boomerang.family.composition import composition_of
from boomerang.processes.dialogue import AskFailed, Dialogue
from tests.distill.jobs import TEMPLATE, save_tokenizer
from tests.support.models import Duo, duo

pytestmark = pytest.mark.slow("a process that loads torch")

PLAY = [sys.executable, "-m", "boomerang.play"]
CODE = "sssbb+stt"
PROMPT = "w1 w2 w3 w4"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    made = duo(tmp_path_factory.mktemp("play"), "llama", frozen=True)
    save_tokenizer(made.teacher_folder, TEMPLATE)
    return made


def job(pair: Duo, **more: Any) -> dict[str, Any]:
    return {"teacher": str(pair.teacher_folder), "student": str(pair.student_folder), **more}


@pytest.fixture(scope="module")
def holder(pair: Duo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dialogue]:
    with Dialogue(PLAY, job(pair), tmp_path_factory.mktemp("run")) as child:
        yield child


def said(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["event"] == "text")


def alone(pair: Duo, folder: Path) -> str:
    """What transformers writes with the assembled member."""
    write_folder(member_files(pair.pair, composition_of(pair.pair.layermap, CODE)), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    given = tokenizer(PROMPT, return_tensors="pt")
    written = model.generate(
        **given, max_new_tokens=20, do_sample=False, pad_token_id=tokenizer.eos_token_id
    )[0, given["input_ids"].shape[1] :]
    text: str = tokenizer.decode(written, skip_special_tokens=True)
    return text


@pytest.mark.long("a process that loads torch")
def test_it_says_what_it_holds(holder: Dialogue, pair: Duo) -> None:
    ready = holder.ready
    assert (ready["chat"], ready["context"], ready["dtype"]) == (True, 64, "float32")
    both = [model.get_memory_footprint() for model in (pair.teacher, pair.student)]
    embeddings = pair.teacher.get_input_embeddings().weight.nbytes
    # Frozen embeddings are equal, and are there once.
    assert sum(both) - embeddings <= ready["memory"] <= sum(both) - embeddings + 4096


def test_the_text_is_that_of_the_member_alone(holder: Dialogue, pair: Duo, tmp_path: Path) -> None:
    asked = {"code": CODE, "prompt": PROMPT, "max_tokens": 20}
    begun, *rest, done = holder.ask(asked)
    assert (begun["event"], begun["prompt_tokens"]) == ("begun", 4)
    assert begun["switch_ms"] < 1000
    assert {event["event"] for event in rest} == {"text"}
    wanted = alone(pair, tmp_path / "alone")
    assert said(rest).split() == wanted.split()
    assert len(rest) > 2
    assert done["completion_tokens"] == rest[-1]["tokens"] or done["finish_reason"] == "stop"
    drafted = list(holder.ask({**asked, "draft": True}))
    assert drafted[0]["draft"]
    assert said(drafted) == said(rest)


def test_draws_are_those_of_the_seed(holder: Dialogue) -> None:
    asked = {"code": CODE, "prompt": PROMPT, "max_tokens": 16, "temperature": 1.5, "top_p": 0.9}
    texts = [said(list(holder.ask({**asked, "seed": seed}))) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_it_ends_at_a_stop_string_and_where_the_context_does(holder: Dialogue) -> None:
    asked = {"code": CODE, "prompt": PROMPT, "max_tokens": 1000}
    whole = list(holder.ask(asked))
    if whole[-1]["finish_reason"] == "length":
        assert whole[-1]["completion_tokens"] == 64 - 4
    word = said(whole).split()[2]
    cut = list(holder.ask({**asked, "stop": [word, "never"]}))
    assert cut[-1]["finish_reason"] == "stop"
    assert word not in said(cut)
    assert said(whole).startswith(said(cut))


def test_a_conversation_goes_through_the_template(holder: Dialogue) -> None:
    talk = [{"role": "user", "content": "w5 w6"}]
    begun, *_, done = holder.ask({"code": CODE, "messages": talk, "max_tokens": 3})
    assert begun["prompt_tokens"] == 4
    assert done["completion_tokens"] <= 3
    tool = [{"role": "tool", "content": "w5"}]
    with pytest.raises(AskFailed, match="do not fit the chat template"):
        list(holder.ask({"code": CODE, "messages": tool}))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"code": "ss+sss", "prompt": "w1"}, "2 choices were given"),
        ({"code": CODE, "prompt": "w1 " * 100}, "has 100 tokens, and there is room for 63"),
        ({"code": CODE}, "either a prompt or messages"),
        ({"code": CODE, "prompt": "w1", "temperature": -1}, "temperature"),
        ({"code": CODE, "prompt": "w1", "beams": 4}, "beams"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_next_is_answered(
    holder: Dialogue, asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(AskFailed, match=why):
        list(holder.ask(asked))
    assert list(holder.ask({"code": CODE, "prompt": "w1", "max_tokens": 1}))


def test_an_answer_nobody_wants_is_left(holder: Dialogue) -> None:
    asked = {"id": "a", "code": "bbbbb+ttt", "prompt": PROMPT, "max_tokens": 60}
    left = holder.ask(asked)
    next(left)
    left.close()
    events = holder.ask({**asked, "id": "b"})
    next(events)
    threading.Thread(target=holder.cancel, args=("b",)).start()
    assert list(events)[-1]["finish_reason"] in ("cancelled", "length", "stop")


@pytest.mark.long("a process that loads torch")
def test_lines_that_are_no_requests_end_nothing(pair: Duo, tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job(pair)))
    ask = {"id": "1", "code": CODE, "prompt": "w1", "max_tokens": 2}
    lines = [b"nonsense", b"[1]", b'{"cancel": "x"}', json.dumps(ask).encode(), b""]
    done = subprocess.run([*PLAY, str(path)], input=b"\n".join(lines), capture_output=True)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events[:3] == ["ready", "failed", "failed"]
    assert events[-1] == "done"


@pytest.mark.long("a process that loads torch")
def test_it_stops_when_it_is_told_to(pair: Duo, tmp_path: Path) -> None:
    with Dialogue(PLAY, job(pair), tmp_path) as child:
        os.kill(child.pid, signal.SIGTERM)
        with pytest.raises(Interrupted, match="143"):
            list(child.ask({"code": CODE, "prompt": "w1"}, wait_s=20))
