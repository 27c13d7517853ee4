"""The page where sizes are tried, without JavaScript: what it offers, asks and answers."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from bs4 import BeautifulSoup

from boomerang.catalog.records.families import Family
from boomerang.catalog.records.states import Fact
from tests.app.conftest import Front
from tests.app.play.conftest import Stage, staged
from tests.support.models import Duo

pytestmark = pytest.mark.slow("a queue and a worker as processes")

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Stage]:
    yield from staged(tmp_path_factory, originals)


def page(front: Front, path: str) -> BeautifulSoup:
    answer = front.client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return BeautifulSoup(answer.text, "html.parser")


def sizes(found: BeautifulSoup, checked: bool = False) -> list[str]:
    boxes = found.select("input[name=size]" + ("[checked]" if checked else ""))
    return [str(box["value"]) for box in boxes]


def sent(front: Front, found: BeautifulSoup, **typed: Any) -> httpx.Response:
    """The form of a page, as a browser would send it."""
    hidden = {str(one["name"]): str(one["value"]) for one in found.select("#ask [type=hidden]")}
    origin = {"Origin": front.base, **HTML}
    return front.client.post("/forms/play", data=hidden | typed, headers=origin)


@pytest.mark.long("a queue and a worker as processes")
def test_a_size_answers_the_form(stage: Stage) -> None:
    found = page(stage.front, f"/play?family={stage.family}&size={stage.size.lower()}")
    assert sizes(found, checked=True) == [stage.size]
    answer = sent(stage.front, found, size=stage.size, prompt="<in> the", max_tokens="3")
    assert answer.status_code == 200, answer.text
    said = BeautifulSoup(answer.text, "html.parser")
    assert said.select_one(".try .said").get_text().split() == ["<in>", "the<in>", "the", "<in>"]  # type: ignore[union-attr]
    assert "3 tokens" in said.select_one(".try .figures").get_text()  # type: ignore[union-attr]
    assert said.select_one("#prompt").get_text() == "<in> the"  # type: ignore[union-attr]
    assert answer.headers["cache-control"] == "no-store"


def test_a_form_whose_browser_has_gone_holds_nobody_up(stage: Stage) -> None:
    found = page(stage.front, f"/play?family={stage.family}")
    stage.front.client.timeout, before = 1.0, stage.front.client.timeout
    started = time.monotonic()
    try:
        with pytest.raises(httpx.ReadTimeout):
            sent(stage.front, found, size=stage.size, prompt="slowly on", max_tokens="500")
    finally:
        stage.front.client.timeout = before
    answer = sent(stage.front, found, size=stage.size, prompt="quick", max_tokens="2")
    assert "2 tokens" in answer.text
    # 500 tokens would take 25 seconds.
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("typed", "status", "about"),
    [
        ({"prompt": ""}, 422, "Nothing is asked."),
        ({"prompt": "x", "size": ""}, 404, ""),
        ({"prompt": "x", "temperature": "hot"}, 422, "temperature"),
        ({"prompt": "x", "max_tokens": "501"}, 422, "at most 500 tokens"),
        ({"prompt": "refuse"}, 200, "it refuses. Ask something else."),
    ],
)
def test_an_error_is_told_beside_what_was_typed(
    stage: Stage, typed: dict[str, str], status: int, about: str
) -> None:
    found = page(stage.front, f"/play?family={stage.family}")
    answer = sent(stage.front, found, **{"size": stage.size} | typed)
    assert answer.status_code == status, answer.text
    said = BeautifulSoup(answer.text, "html.parser")
    shown = " ".join(one.get_text() for one in said.select(".error, .try .wrong"))
    assert about in shown
    if status != 404:
        assert said.select_one("#prompt").get_text() == typed["prompt"]  # type: ignore[union-attr]


def test_it_offers_student_middle_and_teacher_and_families_that_are_ready(stage: Stage) -> None:
    front = stage.front
    members = [member.size for member in front.catalog.members(stage.family)]
    found = page(front, "/play")
    assert sizes(found) == members
    assert sizes(found, checked=True) == [members[0], members[2], members[3]]
    waiting = front.queued(order="first")
    other = front.ready(order="first")
    offered = {str(one["value"]) for one in page(front, "/play").select("#family option")}
    assert offered == {stage.family, other.id}
    assert "student queued" in page(front, f"/play?family={waiting['id']}").get_text()
    assert not page(front, "/play").select("input[name=mode]")
    state = front.client.get("/play").json()
    assert state["on"] is True
    assert state["worker"] is True
    assert state["waiting"] == 0


def test_a_worker_that_is_not_there_is_told(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_PLAY="true")
    assert "No family is ready yet" in page(front, "/play").get_text()
    family = measured(front)
    found = page(front, f"/play?family={family.id}")
    assert "boomerang worker --queues play" in found.get_text()
    assert "perplexity 7.25" in str(found.select("input[name=size]")[0]["data-about"])
    answer = sent(front, found, prompt="x", size=str(found.select("input[name=size]")[0]["value"]))
    assert answer.status_code == 409
    assert "boomerang worker --queues play" in answer.text


def measured(front: Front) -> Family:
    family = front.ready()
    front.catalog.set_fact(family.id, 0, "measured", Fact.YES, perplexity=7.25)
    return family


def test_where_it_is_off_it_says_how_to_switch_it_on(shared: Front) -> None:
    found = page(shared, "/play")
    assert "BOOMERANG_PLAY=true boomerang serve" in found.get_text()
    assert not found.select("#ask")
    assert shared.client.get("/play").json()["on"] is False
