"""A Hub that is silent or busy holds its own few threads, and nobody else's."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from app.context import HUB_THREADS
from tests.app.conftest import Front, problem
from tests.app.serving.test_remote_teacher import Evicted, evicted
from tests.app.serving.test_responses import until
from tests.local_hub.fixture import LocalHub
from tests.support.models import Duo

pytestmark = pytest.mark.long("a Hub that is slow or silent is waited for")

__all__ = ["evicted"]

MANY = 48
"""More requests than the front end has threads."""


@contextmanager
def asked_at_once(front: Front, **body: object) -> Iterator[list[httpx.Response]]:
    """Many requests that hang, each in a thread of this process."""
    answers: list[httpx.Response] = []

    def ask() -> None:
        with httpx.Client(base_url=front.base, timeout=60, trust_env=False) as client:
            answers.append(client.post("/families", json=body))

    with ThreadPoolExecutor(MANY) as pool:
        for _ in range(MANY):
            pool.submit(ask)
        yield answers


def still_answers(front: Front, size: str) -> None:
    """Pages, questions and downloads that need no Hub."""
    with httpx.Client(base_url=front.base, timeout=15, trust_env=False) as client:
        for path in ("/healthz", "/models", "/families", "/", f"/models/{size}/config.json"):
            accept = {"Accept": "text/html" if path == "/" else "*/*"}
            answer = client.get(path, headers=accept)
            assert answer.status_code == 200, answer.text
        whole = client.get(f"/models/{size}")
        assert whole.status_code == 200
        assert len(whole.content) == int(whole.headers["content-length"])


def test_a_hub_that_says_nothing_stops_nobody_else(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo
) -> None:
    hub.add_repo("org/Teacher", originals.teacher_folder)
    # They hang for as long as the test looks at the others.
    front = make_front(HF_ENDPOINT=hub.url, BOOMERANG_HUB_SECONDS="60")
    family = front.ready()
    size = front.catalog.members(family.id)[0].size
    with (
        hub.stalling("GET /api/models/") as end,
        asked_at_once(front, teacher="org/Teacher", data="texts") as answers,
    ):
        until(lambda: hub.layer.stalled == HUB_THREADS)
        still_answers(front, size)
        # A local teacher is asked for meanwhile as well.
        assert front.post(teacher="teacher", data="texts").status_code == 202
        assert hub.layer.stalled == HUB_THREADS
        assert answers == []
        end()
    # Those that waited for their turn are none the worse.
    assert [answer.status_code for answer in answers] == [202] * MANY


def test_whoever_waits_too_long_is_told_to_come_again(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo
) -> None:
    hub.add_repo("org/Teacher", originals.teacher_folder)
    front = make_front(HF_ENDPOINT=hub.url, BOOMERANG_HUB_SECONDS="1")
    with hub.stalling("GET /api/models/"):
        with asked_at_once(front, teacher="org/Teacher", data="texts") as answers:
            pass
        assert len(answers) == MANY
        for answer in answers:
            assert problem(answer, 503, "hub-busy")["fix"] == "Ask again later."
            assert 0 < int(answer.headers["retry-after"]) <= 5
    assert front.post(teacher="org/Teacher", data="texts").status_code == 202


def test_what_the_hub_asks_for_is_passed_on_and_kept(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo
) -> None:
    hub.add_repo("org/Teacher", originals.teacher_folder)
    front = make_front(HF_ENDPOINT=hub.url)
    hub.refuse("GET /api/models/", 429, times=99, Retry_After="3")
    with asked_at_once(front, teacher="org/Teacher", data="texts") as answers:
        pass
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} <= {"1", "2", "3"}
    assert "alone" in problem(answers[0], 503, "hub-busy")["detail"]
    # It is left alone for so long, whoever asks.
    before = len(hub.asked)
    assert before <= HUB_THREADS
    problem(front.post(teacher="org/Other", data="texts"), 503, "hub-busy")
    assert len(hub.asked) == before
    hub.faults.clear()
    time.sleep(3)
    assert front.post(teacher="org/Teacher", data="texts").status_code == 202
    # A connection that breaks, or a moment's weakness, is no reason to send anybody away.
    hub.fail("GET /api/models/", times=2)
    hub.fail("GET /org/", times=1)
    assert front.post(teacher="org/Teacher", data="texts", order="first").status_code == 202
    hub.fail("GET /api/models/", 503)
    assert front.post(teacher="org/Teacher", data="texts").status_code == 202


@pytest.mark.long("a Hub that is silent is waited for")
def test_streams_that_wait_for_the_hub_hold_no_reader(evicted: Evicted, originals: Duo) -> None:
    front, hub, member = evicted.front, evicted.hub, evicted.members[-1]
    for name in ("teacher", "student"):
        assert (front.models / name).is_dir()
    local = front.ready(teacher="teacher", student="student")
    size = front.catalog.members(local.id)[0].size
    url = f"{evicted.url(member)}/model.safetensors"
    wanted = evicted.weights(member)
    front.client.head(url)
    pattern = "GET (/cdn/|/org/teacher/resolve)"
    with hub.stalling(pattern) as end, ThreadPoolExecutor(20) as pool:
        stalled = [pool.submit(httpx.get, url, timeout=60, trust_env=False) for _ in range(20)]
        until(lambda: hub.layer.stalled >= 1)
        still_answers(front, size)
        assert not any(one.done() for one in stalled)
        end()
        assert all(one.result().content == wanted for one in stalled)
