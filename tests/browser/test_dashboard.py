"""The dashboard in a real browser: it lists, it lives, it fits, and its console stays empty."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and a real service")]

WIDTHS = {"desk": 1280, "phone": 390}


@contextmanager
def opened(browser: Any, url: str, width: int = 1280) -> Iterator[Any]:
    """A page of which nothing may be said on the console."""
    said: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.goto(url)
    yield page
    # Leaving a page ends its event stream, and a worker that runs is not loaded again: no failures.
    # Nor is an answer read to its end by a script, which Chromium tells as if it were aborted.
    usual = ("/events?", "/js/stream.js", "/play/")
    assert [line for line in said if not any(part in line for part in usual)] == []
    page.close()


def fill(front: Front) -> tuple[str, str]:
    """Two families: one that is measured, one that is being distilled."""
    family = front.ready(publish={"namespace": "me"})
    for member in front.catalog.members(family.id):
        front.catalog.set_fact(
            family.id, member.k, "measured", Fact.YES, perplexity=9.5 - member.k, kl=0.9 / (
                member.k + 1), naive_perplexity=80.0 - member.k, naive_kl=3.0,
        )  # fmt: skip
    front.catalog.set_fact(family.id, 1, "built", Fact.YES)
    front.catalog.set_fact(family.id, 2, "published", Fact.FAILED, "The Hub said 403.")
    made = front.queued()
    return family.id, str(made["id"])


def test_it_lists_and_lives(browser: Any, make_front: Callable[..., Front]) -> None:
    front = make_front()
    ready, queued = fill(front)
    key = front.catalog.family(queued).student
    with opened(browser, front.base) as page:
        assert page.locator("li.family").count() == 2
        assert page.locator(f"a[href='/families/{ready}']").count() == 1
        assert page.locator(".badge.ready").count() == 1
        front.catalog.set_student_state(key, StudentState.DISTILLING)
        front.catalog.student_progress(key, {"step": 3, "steps": 8, "loss": 1.5})
        page.wait_for_selector("text=step 3 of 8, loss 1.500", timeout=8000)
        assert page.locator("progress").get_attribute("value") == "3"
        front.catalog.set_student_state(key, StudentState.READY)
        page.wait_for_selector(":nth-match(.badge.ready, 2)", timeout=8000)
        third = front.queued(order="first")
        page.wait_for_selector(f"a[href='/families/{third['id']}']", timeout=8000)
        page.click(f"a[href='/families/{ready}']")
        page.wait_for_selector("h1")
        # What happened between the page and its stream is not missed.
        front.catalog.set_fact(ready, 0, "built", Fact.YES)
        page.wait_for_selector(":nth-match(td .ready, 2)", timeout=8000)


@pytest.mark.long("a real browser and a real service")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("which", ["home", "family", "member"])
def test_it_fits(
    browser: Any, make_front: Callable[..., Front], tmp_path: Path, width: str, which: str
) -> None:
    front = make_front()
    ready, _ = fill(front)
    size = front.catalog.members(ready)[1].size
    path = {"home": "/", "family": f"/families/{ready}", "member": f"/models/{size}?family={ready}"}
    with opened(browser, front.base + path[which], WIDTHS[width]) as page:
        page.screenshot(path=tmp_path / f"{which}-{width}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= WIDTHS[width]


def test_nothing_is_there_yet(browser: Any, make_front: Callable[..., Front]) -> None:
    front = make_front()
    with opened(browser, front.base) as page:
        assert page.locator(".empty h2").inner_text() == "No family yet"
        front.queued()
        page.wait_for_selector(".badge.queued", timeout=8000)


@pytest.mark.long("a real browser and a real service")
def test_steps_are_shown_without_drawing_the_page_again(
    browser: Any, make_front: Callable[..., Front]
) -> None:
    front = make_front()
    _, queued = fill(front)
    key = front.catalog.family(queued).student
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 1, "steps": 8})
    with opened(browser, front.base) as page:
        drawn: list[str] = []
        page.on("request", lambda request: drawn.append(request.url))
        for step in range(2, 6):
            front.catalog.student_progress(key, {"step": step, "loss": 1.5, "eta_s": 9.6})
            page.wait_for_selector(f"text=step {step} of 8, loss 1.500, 10 s left", timeout=8000)
            assert page.locator("progress").get_attribute("value") == str(step)
        assert front.base + "/" not in drawn
        # As the server says it.
        before = page.locator(".steps").inner_text()
        page.reload()
        assert page.locator(".steps").inner_text() == before


@pytest.mark.long("a real browser and a real service")
def test_the_interface_is_described(browser: Any, make_front: Callable[..., Front]) -> None:
    front = make_front()
    with opened(browser, f"{front.base}/docs") as page:
        page.wait_for_selector("#docs .opblock >> nth=5", timeout=30000)
        assert page.locator("text=Any model size between").count() == 1
