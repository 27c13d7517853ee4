"""What happens is seen at once: one stream for all tabs of a browser, and no page drawn anew."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front

pytestmark = [pytest.mark.browser, pytest.mark.long("a real browser and a real service")]


def streams(front: Front) -> int:
    """The open connections to a front end, as its machine counts them."""
    open_, port = "01", f":{front.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == open_ and row[1].endswith(port) for row in rows)


def settled(front: Front, wanted: int, seconds: float = 10.0) -> None:
    """Wait until so many connections are left; those that nothing is sent on end by themselves."""
    until = time.monotonic() + seconds
    while streams(front) != wanted:
        assert time.monotonic() < until, streams(front)
        time.sleep(0.1)


def hide(page: Any, *, hidden: bool) -> None:
    """As the browser says it of a tab that nobody looks at, which no headless one is."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


@pytest.fixture
def front(make_front: Callable[..., Front]) -> Front:
    return make_front()


def distilling(front: Front) -> tuple[str, str]:
    made = front.queued()
    key = made["student"]["key"]
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 1, "steps": 800, "loss": 2.5})
    return made["id"], key


@pytest.mark.long("a browser with several tabs, which take their time to notice each other")
def test_tabs_share_a_stream_that_ends_while_nobody_looks(browser: Any, front: Front) -> None:
    _, key = distilling(front)
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    tabs = [context.new_page() for _ in range(8)]
    for tab in tabs:
        # More than six streams would leave no connection to load the seventh page with.
        tab.goto(front.base, timeout=10_000)
    front.catalog.student_progress(key, {"step": 2, "loss": 2.25, "eta_s": 9.6})
    for tab in tabs:
        tab.wait_for_selector("text=step 2 of 800, loss 2.250, 10 s left", timeout=10_000)
        assert tab.locator("progress").get_attribute("value") == "2"
    # Steps are written in: nothing was asked for.
    assert not [url for url in asked if "part=" in url]
    front.client.close()
    time.sleep(6)  # kept-alive connections end; one stream is left
    settled(front, 1)
    for tab in tabs[1:]:
        hide(tab, hidden=True)
    front.catalog.student_progress(key, {"step": 3})
    tabs[0].wait_for_selector("text=step 3 of 800", timeout=10_000)
    assert tabs[1].locator("text=step 3 of").count() == 0
    hide(tabs[0], hidden=True)
    settled(front, 0)
    # What happened meanwhile is not missed by whoever looks again.
    front.catalog.student_progress(key, {"step": 4})
    front.catalog.set_student_state(key, StudentState.READY)
    hide(tabs[1], hidden=False)
    tabs[1].wait_for_selector(".badge.ready", timeout=10_000)
    tabs[1].close()
    hide(tabs[0], hidden=False)
    tabs[0].wait_for_selector(".badge.ready", timeout=10_000)
    context.close()
    settled(front, 0)


def test_without_shared_workers_the_tab_has_its_own(browser: Any, front: Front) -> None:
    _, key = distilling(front)
    context = browser.new_context()
    context.add_init_script("delete window.SharedWorker")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{front.base}/new", wait_until="load")
    page.wait_for_timeout(500)
    # Nothing of it changes by itself.
    assert not [url for url in asked if "/events?" in url]
    page.goto(front.base)
    front.catalog.student_progress(key, {"step": 5})
    page.wait_for_selector("text=step 5 of 800", timeout=10_000)
    assert len([url for url in asked if "/events?" in url]) == 1
    context.close()


def test_a_part_is_drawn_and_what_the_reader_did_stays(browser: Any, front: Front) -> None:
    id_, key = distilling(front)
    front.queued(order="first")
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(front.base)
    page.fill("#q", "teach")
    page.wait_for_url("**/?q=teach", timeout=10_000)
    page.wait_for_function("document.querySelectorAll('li.family').length === 2")
    page.evaluate("document.querySelector('main').kept = 'the same'")
    link = f"a[href='/families/{id_}']"
    page.focus(link)
    front.catalog.set_student_state(key, StudentState.FAILED, "out of memory")
    page.wait_for_selector(".badge.failed", timeout=10_000)
    assert page.evaluate(f'document.activeElement === document.querySelector("{link}")')
    assert page.evaluate("document.querySelector('main').kept") == "the same"
    assert page.input_value("#q") == "teach"
    parts = [url for url in asked if "part=" in url]
    assert parts
    assert all("q=teach" in url and "part=families" in url for url in parts)
    # Those who do not see it hear it.
    said = page.locator("#said").inner_text()
    assert said.endswith(": failed"), said
    # What is typed has the focus and stays while parts are drawn.
    page.focus("#q")
    page.keyboard.type("er")
    front.queued()  # asked for again
    page.wait_for_selector(".badge.failed", state="detached", timeout=10_000)
    assert page.input_value("#q") == "teacher"
    assert page.evaluate("document.activeElement.id") == "q"
    context.close()
