"""OpenAI's own client over a real socket: lists, completes, streams, hears errors, and leaves."""

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.app.play.conftest import Stage
from tests.app.test_contract import Contract

pytestmark = pytest.mark.slow("a queue and a worker as processes")


@pytest.fixture
def client(stage: Stage) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stage.front.base}/v1", api_key="none", max_retries=0) as found:
        yield found


@pytest.mark.long("a queue and a worker as processes")
def test_every_size_that_is_ready_is_listed_and_pages_are_understood(
    stage: Stage, client: openai.OpenAI
) -> None:
    stage.front.queued(order="first")
    members = stage.front.catalog.members(stage.family)
    listed = client.models.list().data
    assert [one.size for one in listed] == [member.size for member in members]  # type: ignore[attr-defined]
    assert client.models.retrieve(listed[0].id).id == listed[0].id
    assert client.models.retrieve(f"{stage.family}:{stage.size}").id == listed[0].id
    first = client.models.list(extra_query={"limit": 2})
    after = {"limit": 1000, "after": first.data[-1].id}
    rest = client.models.list(extra_query=after)
    assert first.has_more is True  # type: ignore[attr-defined]
    assert [one.id for one in [*first, *rest]] == [one.id for one in listed]


def test_a_text_goes_on(stage: Stage, client: openai.OpenAI) -> None:
    done = client.completions.create(
        model=stage.size, prompt="in the beginning", max_tokens=4, temperature=0
    )
    assert done.choices[0].text.split() == ["in", "the", "beginning", "in"]
    assert done.choices[0].finish_reason == "length"
    assert done.model == stage.hub_id
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens) == (3, 4)
    assert done.usage.total_tokens == 7
    stopped = client.completions.create(
        model=stage.hub_id, prompt=["one two three"], max_tokens=9, stop="two"
    )
    assert stopped.choices[0].finish_reason == "stop"


def test_a_conversation_is_streamed_with_its_usage(stage: Stage, client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model=f"{stage.family}:{stage.size}",
            messages=[
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "who was it"}]},
            ],
            max_completion_tokens=3,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert text.split() == ["who", "was", "it"]
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3
    assert {one.usage for one in chunks[:-1]} == {None}
    whole = client.chat.completions.create(
        model=stage.size, messages=[{"role": "user", "content": "who"}], max_tokens=1
    )
    assert whole.choices[0].message.content == "who "


def test_errors_are_those_that_the_client_knows(stage: Stage, client: openai.OpenAI) -> None:
    def asked(**more: Any) -> Any:
        return client.completions.create(**{"model": stage.size, "prompt": "x"} | more)

    with pytest.raises(openai.NotFoundError) as lost:
        asked(model="gpt-9")
    assert lost.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        asked(model="boomerang/nothing-1B")
    with pytest.raises(openai.BadRequestError) as several:
        asked(n=2)
    assert several.value.param == "n"
    assert several.value.type == "invalid_request_error"
    for field, value in {
        "logprobs": 3, "echo": True, "presence_penalty": 1.0, "max_tokens": 501, "temperature": 3,
        "prompt": ["a", "b"],
    }.items():  # fmt: skip
        with pytest.raises(openai.BadRequestError):
            asked(**{field: value})
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=stage.size,
            messages=[{"role": "user", "content": "x"}],
            response_format={"type": "json_object"},
        )
    assert refused.value.param == "response_format"
    # What the player refuses has a status of its own, also of a stream that was not begun.
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="it refuses"):
            asked(prompt="refuse", stream=stream)
    with pytest.raises(openai.InternalServerError, match="status 7"):
        asked(prompt="die")


def test_one_that_leaves_early_is_cancelled(stage: Stage, client: openai.OpenAI) -> None:
    started = time.monotonic()
    slow: dict[str, Any] = {"model": stage.size, "prompt": "slowly", "max_tokens": 500}
    with client.completions.create(**slow, stream=True) as chunks:
        next(iter(chunks))
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=1).completions.create(**slow)
    # Each of both would take 25 seconds.
    assert client.completions.create(**slow | {"prompt": "quick", "max_tokens": 2}).choices
    assert time.monotonic() - started < 15


@pytest.mark.long("a queue and a worker as processes")
def test_it_is_as_declared(stage: Stage) -> None:
    contract = Contract(stage.front)
    contract.ask("/v1/models", "/v1/models?limit=1")
    contract.ask("/v1/models/{model}", f"/v1/models/{stage.size}")
    asked = {"model": stage.size, "max_tokens": 2}
    said = [{"role": "user", "content": "x"}]
    contract.ask("/v1/completions", "/v1/completions", "post", json=asked | {"prompt": "x"})
    chat = "/v1/chat/completions"
    contract.ask(chat, chat, "post", json=asked | {"messages": said})
