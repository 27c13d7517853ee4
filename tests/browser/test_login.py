"""Logging in with Chromium, by keyboard alone, and what a form says there."""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.records.states import StudentState
from tests.app.conftest import Front

pytestmark = [pytest.mark.browser, pytest.mark.long("a real browser and a real service")]


def test_keyboard_alone_logs_in_acts_and_logs_out(
    browser: Any, make_front: Callable[..., Front]
) -> None:
    front = make_front(BOOMERANG_API_KEYS="publish:long-key,read:reader")
    id_ = front.queued()["id"]
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    def sound() -> None:
        found = axe.run(page).response["violations"]
        assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []

    def press_to(name: str) -> None:
        """Go on with Tab until the element of that name has the focus, and press it."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.innerText?.trim()") == name:
                page.keyboard.press("Enter")
                return
        raise AssertionError(name)

    page.goto(f"{front.base}/families/{id_}/delete?x=1")
    assert "/login?next=" in page.url
    sound()
    page.keyboard.type("no-key")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]:has-text('knows no such key')")
    sound()
    assert said == [
        "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
    ]
    said.clear()
    page.keyboard.type("long-key")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/families/{id_}/delete?x=1")
    [cookie] = [one for one in context.cookies() if one["name"] == "boomerang_session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert "boomerang_session" not in page.evaluate("document.cookie")
    sound()
    press_to("Keep it")
    page.wait_for_url(f"**/families/{id_}")
    press_to("Cancel")
    page.wait_for_selector("[role=status]:has-text('It is cancelled.')")
    key = front.catalog.family(id_).student
    assert front.catalog.student(key).state is StudentState.CANCELLED
    # It is said once.
    page.wait_for_url(lambda url: "done" not in url)
    page.reload()
    assert page.locator("text=It is cancelled.").count() == 0
    press_to("Log out")
    page.wait_for_selector("text=You are logged out.")
    assert not [one for one in context.cookies() if one["name"] == "boomerang_session"]
    page.go_back()
    page.wait_for_url("**/login?next=*")
    assert [line for line in said if "/events" not in line] == []
    context.close()
