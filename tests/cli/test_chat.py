"""`boomerang chat`: once and as JSON, line by line with sizes that change, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

import boomerang
from boomerang.processes.dialogue import AskFailed
from tests.distill.jobs import TEMPLATE, save_tokenizer
from tests.support.cli_stub import error, told
from tests.support.models import Duo, duo

pytestmark = pytest.mark.long("processes that load torch")

PROMPT = "w1 w2 w3 w4"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    made = duo(tmp_path_factory.mktemp("chat"), "llama")
    save_tokenizer(made.teacher_folder, TEMPLATE)
    return made


def test_once_it_writes_what_the_library_writes(pair: Duo) -> None:
    names = pair.teacher_folder, pair.student_folder
    with boomerang.chat(*names) as playing:
        member = playing.members[1]
        assert playing.talks
        assert playing.memory > 100_000
        pieces = list(playing.write(PROMPT, member.size, max_tokens=8))
        with pytest.raises(AskFailed, match="room for"):
            list(playing.write("w1 " * 999))
    arguments = (*names, "--size", member.size, "--prompt", PROMPT, "--plain", "--max-tokens", 8)
    said = told("chat", *arguments, "--draft")
    assert said["text"] == "".join(pieces)
    assert (said["size"], said["draft"]) == (member.size, True)
    assert said["completion_tokens"] == len(pieces)


def test_line_by_line_the_size_changes_and_what_was_said_is_known(pair: Duo) -> None:
    sizes = [
        member.size for member in boomerang.plan(pair.teacher_folder, pair.student_folder).members
    ]
    lines = [
        "/sizes", "w1 w2", f"/size {sizes[-1]}", "w3", "w4", "/reset", "/size huge", "/what",
        "w1 " * 99, "/size 1T", "w5", "/quit", "w6",
    ]  # fmt: skip
    done = subprocess.run(
        [
            *(sys.executable, "-m", "boomerang", "chat"),
            *(pair.teacher_folder, pair.student_folder, "--max-tokens", "3"),
        ],
        input="\n".join(lines), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert all(size in out for size in sizes)
    assert out.count(f"[{sizes[0]}: ") == 1
    assert out.count(f"[{sizes[-1]}: ") == 3
    assert "no size 'huge'" in out
    assert "there is room for 63" in out
    assert out.count("/reset  forget") == 2


def test_what_cannot_talk_is_one_line(pair: Duo, tmp_path: Path) -> None:
    names = pair.teacher_folder, pair.student_folder
    assert "no size 'huge'" in error("chat", *names, "--size", "huge", "--prompt", "w1")
    assert "no device" in error("chat", *names, "--device", "nowhere", "--prompt", "w1")
