"""The pages of a size and of jobs by keyboard: tabs as people know them, code that is copied, and a
failure that is seen as it happens and retried.
"""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front
from tests.browser.test_dashboard import opened

pytestmark = [pytest.mark.browser, pytest.mark.long("a real browser and a real service")]


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


def test_a_failure_is_seen_and_retried(browser: Any, make_front: Callable[..., Front]) -> None:
    front = make_front()
    made = front.queued()
    key = made["student"]["key"]
    with opened(browser, f"{front.base}/jobs") as page:
        assert page.locator(".job.waiting h3").inner_text().startswith("Distillation")
        lease = front.catalog.lease_acquire(f"student:{key}", "gpu7:41:ab:9", 60)
        front.catalog.set_student_state(key, StudentState.DISTILLING, lease=lease)
        page.wait_for_selector(".job.running code:text('gpu7:41')", timeout=8000)
        front.catalog.student_progress(key, {"step": 3, "steps": 8}, lease=lease)
        page.wait_for_selector("text=step 3 of 8", timeout=8000)
        front.catalog.set_student_state(key, StudentState.FAILED, "No text.", lease=lease)
        front.catalog.lease_release(lease)
        page.wait_for_selector(".job.failed .cause:text('No text.')", timeout=8000)
        page.locator("button:has-text('Retry')").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/families/{made['id']}**")
        assert "begins anew" in page.locator(".notice").first.inner_text()
    assert front.catalog.student(key).state is StudentState.QUEUED
