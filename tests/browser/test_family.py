"""The page of a family in a real browser: one size is chosen, and everything follows it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front
from tests.browser.test_dashboard import opened
from tests.support.ladders import DIP, distilled, large

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and a real service")]


@pytest.fixture
def front(make_front: Callable[..., Front]) -> Front:
    return make_front()


@pytest.fixture
def family(front: Front) -> str:
    return large(front.catalog)


@pytest.fixture
def page(browser: Any, front: Front, family: str) -> Iterator[Any]:
    with opened(browser, f"{front.base}/families/{family}") as found:
        found.wait_for_selector("#slide")
        yield found


def chosen(page: Any) -> str:
    """The size that every place of the page is about."""
    names = {one.get_attribute("data-size") for one in page.locator(".chosen").all()}
    names.add(page.locator("#chosen .name [data-cell=parameters]").inner_text())
    names.add(page.locator("#slide").get_attribute("aria-valuetext"))
    [name] = names
    assert f"size={name}" in page.url
    return str(name)


@pytest.mark.long("a real browser and a real service")
def test_everything_follows_the_slider(front: Front, family: str, page: Any) -> None:
    members = front.catalog.members(family)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.focus("#slide")
    page.keyboard.press("ArrowLeft")
    assert chosen(page) == members[8].size
    page.keyboard.press("Home")
    for _ in range(DIP):
        page.keyboard.press("ArrowUp")
    assert chosen(page) == members[DIP].size
    about = page.locator("#chosen")
    assert f"{members[DIP].parameters:,} parameters" in about.inner_text()
    assert "A dip" in about.locator("[data-why]").inner_text()
    link = about.locator("a[download]").get_attribute("href")
    assert link.endswith(f"/models/{members[DIP].size}?family={family}&download=tar")
    box = page.locator("#slide").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert chosen(page) == members[-1].size
    assert about.locator("[data-why]").inner_text() == ""
    # A click on the curve, or in the table.
    page.locator(f".point[data-size='{members[3].size}'] a").click()
    assert chosen(page) == members[3].size
    page.click(f"#ladder [data-choose='{members[6].size}']")
    assert chosen(page) == members[6].size
    # But for the icon, which a browser asks for with every address.
    assert [url for url in asked if "/static/" not in url] == []
    # And the address says it: whoever opens it sees the same.
    page.reload()
    page.wait_for_selector("#slide")
    assert chosen(page) == members[6].size


@pytest.mark.long("a real browser and a real service")
def test_metrics_memory_and_order_are_changed_in_place(
    front: Front, family: str, page: Any
) -> None:
    page.evaluate("document.querySelector('h1').dataset.same = 'yes'")
    page.focus("#slide")
    page.keyboard.press("Home")
    page.click("#sizes .tabs >> text=Agreement")
    page.wait_for_selector("#sizes .tabs [aria-current] >> text=Agreement")
    smallest = front.catalog.members(family)[0].size
    assert chosen(page) == smallest
    page.hover("#sizes svg.quality .point >> nth=4")
    assert "%" in page.locator(".chart-tip").inner_text()
    assert page.locator("#chosen [data-fits]").inner_text() == "8 GB"
    page.select_option("#context", "131072")
    page.wait_for_selector("#chosen [data-fits]:text('24 GB')")
    page.wait_for_selector(f"#ladder tr[data-size='{smallest}'] [data-fits='24 GB']")
    assert page.locator("#sizes .tabs [aria-current]").inner_text() == "Agreement"

    def first() -> str:
        return str(page.locator("#ladder tbody tr").first.get_attribute("data-size"))

    page.click("#ladder thead >> text=agreement")
    assert first() == smallest
    page.click("#ladder thead >> text=agreement")
    assert first() == front.catalog.members(family)[-1].size
    assert page.locator("#ladder th[aria-sort=descending]").inner_text() == "agreement"
    for part in ("metric=agreement", f"size={smallest}", "context=131072", "sort=-agreement"):
        assert part in page.url
    newest = page.locator("#log li >> nth=0").inner_text()
    page.click("#log >> text=before that")
    page.wait_for_selector("#log >> text=newest")
    assert page.locator("#log li >> nth=0").inner_text() != newest
    page.click("#log >> text=newest")
    page.wait_for_selector("#log >> text=newest", state="detached")
    assert "before=" not in page.url
    assert "metric=agreement" in page.url
    assert page.locator("h1").get_attribute("data-same") == "yes"


def test_menus_close_as_menus_do(page: Any) -> None:
    menu = page.locator("details.menu").first
    page.focus("details.menu >> nth=0 >> summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert menu.get_attribute("open") is not None
    page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    page.mouse.click(30, 300)
    assert menu.get_attribute("open") is None


@pytest.mark.long("a real browser and a real service")
def test_a_run_is_followed_live(browser: Any, front: Front) -> None:
    run = large(front.catalog, state=StudentState.DISTILLING, measured=False)
    key = front.catalog.family(run).student
    distilled(front.catalog, key, 40, 500)
    with opened(browser, f"{front.base}/families/{run}") as page:
        page.click("text=How it was made")
        assert "at step 40" in page.locator("#run svg desc").text_content()
        front.catalog.student_progress(key, {"step": 41, "steps": 500, "loss": 2.75, "eta_s": 90})
        page.wait_for_selector("text=step 41 of 500, loss 2.750, 90 s left", timeout=8000)
        drawn = "#run desc:has-text('2.75 at step 41')"
        page.wait_for_selector(drawn, state="attached", timeout=8000)
        front.catalog.set_student_state(key, StudentState.FAILED, "out of memory")
        page.wait_for_selector("#head .badge.failed", timeout=8000)
        page.wait_for_selector("#log >> text=Distilling failed: out of memory", timeout=8000)
        # Whoever had opened it reads on.
        assert page.locator("details.about").get_attribute("open") is not None
        page.wait_for_selector("#head >> text=Try again")
