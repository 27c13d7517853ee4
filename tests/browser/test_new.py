"""A family asked for in a real browser: by keys alone, with its ladder, and without a script."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.app.conftest import Front
from tests.browser.test_dashboard import opened

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser and a real service")]


def sound(page: Any) -> None:
    """What axe-core finds wrong, if anything."""
    # What is being fetched is pale for a moment.
    page.wait_for_function(
        "() => document.getAnimations().length == 0 && !document.querySelector('.htmx-request')"
    )
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_by_keys_alone_a_teacher_is_found_and_a_size_chosen(
    browser: Any, make_front: Callable[..., Front]
) -> None:
    front = make_front()
    with opened(browser, f"{front.base}/new") as page:
        page.wait_for_selector("#teacher[role=combobox]:focus")
        page.keyboard.type("teach")
        page.wait_for_selector("#teachers [role=option]:only-child")
        page.keyboard.press("ArrowDown")
        assert page.get_attribute("#teacher", "aria-activedescendant") == "teachers-0"
        sound(page)
        page.keyboard.press("Enter")
        page.wait_for_selector("#size")
        assert page.input_value("#teacher") == "teacher"
        assert page.inner_text("#new-said").startswith("4 sizes, from")
        page.focus("#size")
        page.keyboard.press("End")
        sizes = page.get_attribute("#size", "data-sizes").split()
        for key, at in (("ArrowLeft", 2), ("Home", 0), ("ArrowUp", 1)):
            page.keyboard.press(key)
            assert page.inner_text("#size-name") == sizes[at]
            # What is asked for is what the slider shows.
            assert page.input_value("input[name=budget]:checked") == sizes[at]
        page.focus("#dtype")
        page.keyboard.press("ArrowUp")
        page.wait_for_selector("#dtype:focus >> option[selected]:text('float32')", state="attached")
        assert page.inner_text("#size-name") == sizes[1]
        for summary in page.query_selector_all("summary"):
            summary.press("Enter")
        sound(page)
        page.fill("#kept", "0,x")
        page.keyboard.press("Tab")
        page.wait_for_selector("#kept[aria-invalid=true]")
        assert "no list of layers" in page.inner_text("#field-kept .error")
        assert page.inner_text("#new-said") == page.inner_text("#kept-error")
        sound(page)
        page.fill("#kept", "")
        page.keyboard.press("Tab")
        page.wait_for_selector("#size")
        page.reload()
        # The address says what was chosen, too.
        assert page.inner_text("#size-name") == sizes[1]
        page.fill("#text", "texts")
        page.focus("#distil")
        page.keyboard.press("Enter")
        page.wait_for_url("**/families/*")
        (family,) = front.catalog.families()
        assert [one.what for one in front.catalog.requests(family.id)] == [sizes[1]]


@pytest.mark.parametrize("width", [1280, 390])
def test_without_a_script_it_is_a_form(
    browser: Any, make_front: Callable[..., Front], width: int
) -> None:
    front = make_front()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{front.base}/new")
    page.fill("#teacher", "teacher")
    # The first button is what Enter presses: nothing is begun whose ladder nobody has seen.
    page.press("#teacher", "Enter")
    page.wait_for_url("**/new?teacher=teacher&order=auto")
    assert page.is_visible("text=4 sizes of teacher")
    page.click("summary:has-text('All 4 sizes')")
    page.check("input[name=budget] >> nth=0")
    wide = page.locator("main").evaluate("main => main.scrollWidth <= main.clientWidth")
    assert wide
    context.close()
