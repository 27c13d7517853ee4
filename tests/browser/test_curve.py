"""Charts in a real browser, under the policy of the pages: pointed at, walked along, read out."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.pages.rendering import POLICY
from boomerang.charts.drawing.series import PERPLEXITY
from boomerang.charts.layers import layers_chart
from boomerang.charts.quality import quality_chart
from tests.charts.test_layers import MAP, rows
from tests.charts.test_quality import NAIVE, POINTS
from tests.support.places import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow("a real browser")]

STATIC = ROOT / "app/pages/static"
SITE = "http://charts.test"
TYPES = {".css": "text/css", ".js": "text/javascript"}
PAGE = """<!doctype html><html lang="en"><head><title>Charts</title><meta charset="utf-8">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/css/base.css"><link rel="stylesheet" href="/css/charts.css">
<script src="/js/curve.js" type="module"></script></head>
<body><main><h1>Charts</h1>{}{}</main></body></html>"""


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page with a curve and layers, of which nothing may be said on the console."""
    svg = quality_chart(POINTS, metric=PERPLEXITY, naive=NAIVE, chosen="1.10B")
    names = dict(zip((row.name for row in rows(MAP)), (p.name for p in POINTS), strict=True))
    layers = layers_chart(rows(MAP), chosen="size 1")
    for name, size in names.items():
        layers = layers.replace(f'"{name}"', f'"{size}"')

    def answer(route: Any) -> None:
        path = route.request.url.removeprefix(SITE).partition("?")[0]
        body = PAGE.format(svg, layers) if path == "/" else (STATIC / path[1:]).read_text()
        kind = TYPES.get(path[path.rfind(".") :], "text/html")
        headers = {"Content-Type": kind, "Content-Security-Policy": f"{POLICY}; img-src data:"}
        route.fulfill(body=body, headers=headers)

    said: list[str] = []
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.route("**/*", answer)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(SITE)
    yield opened
    opened.close()
    assert said == []


def test_a_curve_answers_a_pointer(page: Any) -> None:
    tip, curve = page.locator(".chart-tip"), page.locator(".chart.quality")
    assert tip.is_hidden()
    box, point = curve.bounding_box(), page.locator('.point[data-size="1.20B"] .hit')
    x = point.bounding_box()["x"] + 10
    # Anywhere above a size: far from its marker.
    page.mouse.move(x, box["y"] + 60)
    assert "1.20B" in tip.inner_text()
    assert "naive pruning 40" in tip.inner_text()
    page.mouse.move(5, 5)
    assert tip.is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.mouse.click(x, box["y"] + 60)
    page.wait_for_url("**/?size=1.20B")


def test_keys_walk_along_a_curve_from_one_stop(page: Any) -> None:
    name = "document.activeElement.getAttribute('aria-label')"
    page.keyboard.press("Tab")
    assert page.evaluate(name).startswith("1.10B")
    for key, size in (("ArrowRight", "1.20B"), ("End", "1.30B"), ("Home", "1.00B")):
        page.keyboard.press(key)
        assert page.evaluate(name).startswith(size)
        assert size in page.locator(".chart-tip").inner_text()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.chart')") is None
    # Who shows the size on this page keeps the browser from asking for another.
    page.evaluate(
        "document.addEventListener('boomerang:size', (e) => {"
        " e.preventDefault(); document.title = e.detail; })"
    )
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.title() == "1.00B"
    assert page.url == f"{SITE}/"


def test_a_chosen_size_is_chosen_in_every_chart(page: Any) -> None:
    page.evaluate("document.dispatchEvent(new CustomEvent('boomerang:size', { detail: '1.20B' }))")
    chosen = page.locator(".chart .chosen")
    assert {one.get_attribute("data-size") for one in chosen.all()} == {"1.20B"}
    assert page.locator(".member:visible").count() == 1
    assert page.locator(".point .ring:visible").count() == 1


@pytest.mark.long("a real browser")
def test_nobody_is_kept_out(page: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
