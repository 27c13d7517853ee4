"""Trying sizes in a real browser: by keyboard alone, side by side, stopped, and talked with."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.app.play.conftest import Stage, staged
from tests.browser.test_dashboard import opened
from tests.support.models import Duo

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and a real worker")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Stage]:
    template = originals.teacher_folder / "chat_template.jinja"
    template.write_text("{% for said in messages %}{{ said.content }} {% endfor %}")
    yield from staged(tmp_path_factory, originals)
    template.unlink()


def texts(page: Any) -> list[str]:
    """What stands in the columns, prompts included."""
    return [" ".join(one.split()) for one in page.locator(".try .said").all_inner_texts()]


@pytest.mark.long("a real browser and a real worker")
def test_sizes_write_side_by_side_and_are_stopped_by_keyboard_alone(
    browser: Any, stage: Stage
) -> None:
    sizes = [member.size for member in stage.front.catalog.members(stage.family)]
    with opened(browser, f"{stage.front.base}/play?family={stage.family}&size={sizes[0]}") as page:
        page.focus(f"input[value='{sizes[0]}']")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.wait_for_url(f"**/play?*&size={sizes[0]}&size={sizes[1]}")
        page.focus("#prompt")
        page.keyboard.type("one two")
        page.fill("[name=max_tokens]", "3")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(":nth-match(.state.done, 2)", timeout=30000)
        assert texts(page) == ["one twoone two one"] * 2
        assert "3 tokens" in page.locator(".figures").last.inner_text()
        assert "has written 3 tokens" in page.locator("#told").inner_text()
        assert Axe().run(page).response["violations"] == []
        page.fill("#prompt", "slowly")
        page.fill("[name=max_tokens]", "400")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector("text=slowlyslowly", timeout=20000)
        page.keyboard.press("Escape")
        page.wait_for_selector(":nth-match(.state.stopped, 2)", timeout=5000)
        assert page.locator("#write").is_enabled()
        page.fill("#prompt", "refuse")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(":nth-match(.state.failed, 2)", timeout=20000)
        assert page.locator(".try .wrong").first.inner_text() == "It refuses. Ask something else."
        for _ in range(2):
            page.locator("input[name=size]:not(:checked)").first.check()
        assert page.locator("input[name=size]:disabled").count() == len(sizes) - 4
        weight = page.evaluate(
            "() => performance.getEntries().reduce((sum, e) => sum + (e.decodedBodySize || 0), 0)"
        )
        assert weight < 150_000


def test_a_conversation_goes_on_with_what_each_size_said(browser: Any, stage: Stage) -> None:
    family = stage.front.ready(order="first")
    with opened(browser, f"{stage.front.base}/play?family={family.id}&size={stage.size}") as page:
        page.set_viewport_size({"width": 390, "height": 800})
        page.check("input[value=chat]")
        page.fill("[name=max_tokens]", "1")
        for said in ("first", "second"):
            page.fill("#prompt", said)
            page.keyboard.press("Control+Enter")
            page.wait_for_selector(f".turn.assistant:has-text('{said}')", timeout=20000)
            page.wait_for_selector(".state.done")
        assert page.locator(".turn").all_inner_texts() == ["first", "first ", "second", "second "]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("#anew")
        assert page.locator(".turn").count() == 0
