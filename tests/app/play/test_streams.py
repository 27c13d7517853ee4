"""POST /play: the events of an answer as they happen, and errors before there are any."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from boomerang.catalog.records.states import Fact
from tests.app.conftest import Front, problem
from tests.app.play.conftest import Stage
from tests.app.test_contract import Contract

pytestmark = pytest.mark.slow("a queue and a worker as processes")


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


@pytest.mark.long("a queue and a worker as processes")
def test_words_come_as_they_are_written(stage: Stage) -> None:
    asked = {"prompt": "in the slowly", "max_tokens": 20}
    came: list[float] = []
    contract = Contract(stage.front)
    with stage.front.client.stream("POST", f"/play/{stage.family}/{stage.size}", json=asked) as to:
        assert to.headers["content-type"].startswith("text/event-stream")
        found = []
        for event in events(to):
            found.append(event)
            came.append(time.monotonic())
            contract.validate({"$ref": "#/components/schemas/PlayEvent"}, event)
    text = [event for event in found if event["event"] == "text"]
    assert "".join(event["text"] for event in text).split()[:4] == ["in", "the", "slowly", "in"]
    assert found[-1]["completion_tokens"] == 20
    # Twenty words with pauses: not all at once.
    assert came[-1] - came[-20] > 0.5


def test_an_answer_that_failed_says_why(stage: Stage) -> None:
    asked = {"prompt": "refuse it"}
    with stage.front.client.stream("POST", f"/play/{stage.family}/{stage.size}", json=asked) as to:
        last = list(events(to))[-1]
    assert (last["event"], last["reason"], last["fix"]) == (
        "failed", "it refuses", "Ask something else."
    )  # fmt: skip


def test_no_answer_tells_where_a_model_lies(stage: Stage) -> None:
    client, asked = stage.front.client, {"prompt": "where is it"}
    answers = [
        client.post(f"/play/{stage.family}/{stage.size}", json=asked),
        client.post("/v1/completions", json={"model": stage.size, **asked}),
    ]
    for answer in answers:
        assert str(stage.front.models) not in answer.text
        assert "there is no $BOOMERANG_MODELS/teacher/config.json" in answer.text


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({}, "prompt or messages"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "y"}]}, "not both"),
        ({"prompt": ""}, "nothing is asked"),
        ({"prompt": "x", "temperature": 9}, "temperature"),
        ({"prompt": "x", "max_tokens": 501}, "at most 500 tokens"),
        ({"prompt": "x" * 40_000}, "prompt"),
        ({"messages": [{"role": "user", "content": "y" * 20_000}] * 2}, "32768 characters"),
        ({"prompt": "x", "loud": True}, "loud"),
    ],
)
def test_what_cannot_be_asked_is_refused(stage: Stage, body: dict[str, Any], about: str) -> None:
    answer = stage.front.client.post(f"/play/{stage.family}/{stage.size}", json=body)
    assert about in problem(answer, 422, "bad-request")["detail"]


def test_unknown_sizes_and_families_are_named(stage: Stage) -> None:
    asked = {"json": {"prompt": "x"}}
    front = stage.front.client
    problem(front.post(f"/play/{stage.family}/99T9", **asked), 404, "size-not-found")
    problem(front.post(f"/play/nothing/{stage.size}", **asked), 404, "family-not-found")
    queued = stage.front.queued()
    found = problem(front.post(f"/play/{queued['id']}/{stage.size}", **asked), 409, "not-ready")
    assert queued["id"] in found["detail"]


@pytest.mark.long("a queue and a worker as processes")
def test_without_worker_or_switch_it_says_what_to_do(make_front: Callable[..., Front]) -> None:
    off = make_front()
    family = off.ready()
    size = off.catalog.members(family.id)[0].size
    asked = {"json": {"prompt": "x"}}
    answer = off.client.post(f"/play/{family.id}/{size}", **asked)
    assert "BOOMERANG_PLAY=true" in problem(answer, 404, "play-off")["fix"]
    on = make_front(BOOMERANG_PLAY="true")
    family = on.ready()
    started = time.monotonic()
    answer = on.client.post(f"/play/{family.id}/{size}", **asked)
    assert "boomerang worker --queues play" in problem(answer, 503, "no-player")["fix"]
    assert answer.headers["retry-after"]
    assert time.monotonic() - started < 5


def test_no_other_site_may_have_something_written(stage: Stage) -> None:
    front, at = stage.front.client, f"/play/{stage.family}/{stage.size}"
    answer = front.post(at, json={"prompt": "x"}, headers={"Origin": "https://evil.example"})
    problem(answer, 403, "origin")
    plain = front.post(at, content='{"prompt": "x"}', headers={"Content-Type": "text/plain"})
    problem(plain, 415, "content-type")


def test_a_key_that_reads_may_try_but_for_gated_teachers(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="read:looks,build:makes", BOOMERANG_PLAY="true")
    builds = {"Authorization": "Bearer makes"}
    made = front.client.post("/families", headers=builds, json={
        "teacher": "teacher", "student": "student", "order": "last",
    })  # fmt: skip
    family = front.settle(made.json()["id"])
    at = f"/play/{family.id}/{front.catalog.members(family.id)[0].size}"
    asked = {"json": {"prompt": "x"}}
    problem(front.client.post(at, **asked), 503, "no-player")
    assert httpx.post(front.base + at, trust_env=False, **asked).status_code == 401
    gate(front, family.id)
    problem(front.client.post(at, **asked), 403, "gated-teacher")
    problem(front.client.post(at, headers=builds, **asked), 503, "no-player")


def gate(front: Front, family: str) -> None:
    """As if its teacher were gated, which only the Hub could say."""
    from sqlalchemy import create_engine, text

    engine = create_engine(front.settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE families SET gated = true"))
    engine.dispose()
    # An event tells the front end that something changed.
    front.catalog.set_fact(family, 0, "built", Fact.YES)
