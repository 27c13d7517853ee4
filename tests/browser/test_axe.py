"""Every page by axe-core, on a desk in light and on a phone in dark: nothing serious is found."""

from collections.abc import Callable
from typing import Any

import pytest

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front
from tests.browser.test_dashboard import fill

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and axe-core read every page")]

GRAVE = ("serious", "critical")


def staged(front: Front) -> dict[str, str]:
    """Pages with something on them, by what they are."""
    ready, queued = fill(front)
    key = front.catalog.family(queued).student
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    for step in range(1, 6):
        front.catalog.student_progress(key, {"step": step, "steps": 8, "loss": 3.0 - 0.2 * step})
    lost = front.queued(order="first")
    other = front.queued(recipe="default")
    assert lost["id"] != other["id"]
    front.catalog.set_student_state(other["student"]["key"], StudentState.FAILED, "No text.")
    front.catalog.lease_acquire(f"student:{key}", "gpu:1:ab:2", 600)
    front.catalog.set_fact(ready, 1, "measured", Fact.YES, perplexity=8.5, kl=0.4, flags=["A dip."])
    size = front.catalog.members(ready)[1].size
    return {
        "home": "/",
        "search": "/?q=nothing",
        "new": "/new",
        "ladder": "/new?teacher=teacher",
        "family": f"/families/{ready}",
        "distilling": f"/families/{queued}",
        "delete": f"/families/{ready}/delete",
        "model": f"/models/{size}?family={ready}",
        "play": f"/play?family={ready}",
        "jobs": "/jobs",
        "error": "/families/nothing",
    }


def grave(page: Any) -> list[str]:
    """What axe-core finds of a page with everything unfolded."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}"
        for one in found if one["impact"] in GRAVE
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_grave(
    browser: Any, make_front: Callable[..., Front], width: int, scheme: str
) -> None:
    front = make_front(BOOMERANG_API_KEYS="publish:owner", BOOMERANG_PLAY="true")
    paths = staged(front)
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    page.goto(f"{front.base}/login")
    found = {"login": grave(page)}
    page.fill("input[name=key]", "owner")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{front.base}/")
    for name, path in paths.items():
        page.goto(front.base + path)
        found[name] = grave(page)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (name, wide)
    context.close()
    assert {name: one for name, one in found.items() if one} == {}
