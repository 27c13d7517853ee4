"""Every role looks like something, on paper and on a page, in light and in dark."""

import re

import pytest

from boomerang.charts.drawing.theme import PAGE, PAPER, paper
from tests.support.places import ROOT

CSS = (ROOT / "app/pages/static/css/charts.css").read_text()
ROLES = sorted(one for one in PAPER.paints or () if not re.fullmatch(r"paper|(bar|[dmeos])\d", one))
"""Those of pages: bars and many series are for paper alone."""


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_a_look_on_pages(role: str) -> None:
    plain = PAPER(role).get("font_size") == "12" and "stroke" not in PAPER(role)
    assert plain or re.search(rf"\.{role}[\s,:.){{]", CSS), f"charts.css knows no .{role}"


def test_pages_have_classes_and_paper_has_colours() -> None:
    assert PAGE("curve") == {"class_": "curve"}
    assert PAPER("curve")["stroke"].startswith("#")
    assert (PAGE.interactive, PAPER.interactive) == (True, False)
    assert paper(300).width == 300


def test_every_variable_of_the_style_sheet_is_known_in_light_and_in_dark() -> None:
    base = (ROOT / "app/pages/static/css/base.css").read_text()
    known = set(re.findall(r"(--[\w-]+):", base + CSS))
    assert set(re.findall(r"var\((--[\w-]+)\)", CSS)) <= known
    dark = CSS.partition("prefers-color-scheme: dark")[2]
    ours = set(re.findall(r"(--[\w-]+):", CSS.partition("@media (prefers-color-scheme")[0]))
    assert ours == set(re.findall(r"(--[\w-]+):", dark))
