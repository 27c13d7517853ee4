"""The page of a size by keyboard: tabs as people who know tabs expect them, and code is copied."""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.records.states import Fact
from tests.app.conftest import Front
from tests.browser.test_dashboard import opened

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and a real service")]


def test_tabs_by_keyboard(browser: Any, make_front: Callable[..., Front]) -> None:
    front = make_front()
    family = front.ready()
    size = front.catalog.members(family.id)[1].size
    url = f"{front.base}/models/{size}?family={family.id}"
    with opened(browser, url) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        chosen = page.locator("[role=tab][aria-selected=true]")
        shown = page.locator("[role=tabpanel]:visible")
        assert chosen.inner_text() == "Transformers"
        chosen.focus()
        for key, name in (
            ("ArrowRight", "hf download"), ("End", "curl"), ("ArrowRight", "Transformers"),
            ("ArrowLeft", "curl"), ("Home", "Transformers"), ("ArrowRight", "hf download"),
        ):  # fmt: skip
            page.keyboard.press(key)
            assert chosen.inner_text() == name
            assert page.evaluate("document.activeElement.textContent") == name
            assert shown.count() == 1
            assert shown.get_attribute("aria-labelledby") == chosen.get_attribute("id")
        # One stop of Tab for all tabs; the panel's code is next, then its button.
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith(f"export HF_ENDPOINT={front.base}\nhf download boomerang/")
        # Parts that are drawn again leave the chosen tab as it is.
        front.catalog.set_fact(family.id, 1, "built", Fact.YES)
        page.wait_for_selector("#state .badge.ready", timeout=8000)
        assert chosen.inner_text() == "hf download"
