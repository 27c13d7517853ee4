"""What people read: bars and words where JSON has codes."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import boomerang
from boomerang.cli import show
from boomerang.cli.demo import table
from boomerang.cli.sizes import plan_json
from tests.support.cli_stub import family
from tests.support.models import duo


def printed(view: Any) -> str:
    console = Console(width=160, markup=False, highlight=False)
    with console.capture() as said:
        console.print(view)
    return said.get()


MEASURED = {"layers": 3, "perplexity": 9.0, "kl": 0.5, "naive_perplexity": 12.0, "naive_kl": 1.0,
            "flags": []}  # fmt: skip


def test_a_measuring_says_what_its_order_does_and_shows_each_size() -> None:
    members = [MEASURED | {"k": 0, "size": "1K", "code": "ssf+sss", "agreement": 0.5},
               MEASURED | {"k": 1, "size": None, "code": "bbb+ttt"}]  # fmt: skip
    found = {"order": "best", "patch_order": ["ssf", "bbb"], "note": None, "members": members}
    said = printed(show.measures_view(found))
    assert "1K     □□◧" in said
    assert "agreement" in said
    assert "50.0%" in said
    assert "–      ■■■" in said
    assert "each size has its own best choice of blocks" in said
    assert "◧ the first layer of the teacher's block" in said
    assert not any(code in said for code in ("ssf", "bbb", "best ("))


def test_a_long_reason_takes_no_room_from_figures() -> None:
    why = "A dip: its perplexity is 105.9, that of the next smaller member (7 layers) 96.88."
    members = [MEASURED | {"k": 0, "size": "13.4K", "code": "ssf+sss", "flags": [why]}]
    found = {"order": "best", "patch_order": ["ssf"], "note": None, "members": members}
    said = printed(show.measures_view(found))
    for whole in ("13.4K", "□□◧", "perplexity", "naive perplexity", "naive KL", "96.88."):
        assert whole in said


@pytest.mark.parametrize(
    ("chosen", "words"), [("last", "from the last block"), ("klpatch", "next")]
)
def test_a_family_says_what_its_order_does(chosen: str, words: str) -> None:
    said = printed(show.family_view(family("ready", chosen=chosen)))
    assert "1K     □□" in said
    assert f"The order in which blocks are put back: {words}" in said


def test_where_there_is_little_room_bars_go_over_several_lines() -> None:
    console = Console(width=20)
    with console.capture() as said:
        console.print(show.table(("size", show.BLOCKS), [("1K", "□" * 40)]))
    assert said.get().count("□") == 40


def test_the_demo_explains_its_table() -> None:
    said = table.explanation(family("ready"))
    assert said[0].startswith("One square for each layer of the student: ■")


def test_a_plan_at_a_context_says_what_running_each_size_takes(tmp_path: Path) -> None:
    made = boomerang.plan(duo(tmp_path, "llama").teacher_folder)
    needs = made.needs(4096, runtime="llama.cpp")
    plan = {"teacher": "t", "student": None, "order": "last", "context": 4096,
            "runtime": "llama.cpp"} | plan_json(made)  # fmt: skip
    for member, need in zip(plan["members"], needs, strict=True):
        member["memory"] = need.json()
    said = printed(show.plan_view(plan))
    assert "at 4,096 tokens with llama.cpp" in said
    assert all(f"{need.total / 1e9:.3f}" in said for need in needs)
    # In float32 as they are stored; half of that in bfloat16.
    assert made.needs(dtype="bfloat16")[0].weights * 2 == needs[0].weights
