"""What may be asked of a size, and how much of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from boomerang.errors import BadRequest
from boomerang.service.playing.asked import MOST_CHARACTERS, Question
from boomerang.service.playing.store import address


def test_tokens_are_bounded_and_never_cut_in_silence() -> None:
    assert Question(prompt="x").bounded(512).max_tokens == 512
    assert Question(prompt="x", max_tokens=512).bounded(512).max_tokens == 512
    with pytest.raises(BadRequest, match="at most 512 tokens") as caught:
        Question(prompt="x", max_tokens=513).bounded(512)
    assert caught.value.value == 513


def test_the_player_is_told_what_was_asked_and_no_more() -> None:
    told = Question(prompt="x", stop=("\n",), seed=7).bounded(9).told()
    assert told == {
        "prompt": "x", "max_tokens": 9, "temperature": 0.0, "top_p": 1.0, "seed": 7,
        "stop": ["\n"], "draft": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt": "x" * (MOST_CHARACTERS + 1)},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x"}] * 201},
        {"prompt": "x", "stop": ["a"] * 5},
        {"prompt": "x", "stop": [""]},
        {"prompt": "x", "top_p": 0},
        {"prompt": "x", "seed": -1},
    ],
)
def test_what_is_out_of_bounds_is_no_question(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Question.model_validate(asked)


def test_a_socket_is_called_as_redis_calls_it() -> None:
    assert address("redis+socket:///home/valkey.sock") == "unix:///home/valkey.sock"
    assert address("rediss://host:6379/0") == "rediss://host:6379/0"
