"""Cards as pages show them: our HTML and nobody else's, our pictures and no others."""

import re
from dataclasses import replace

from bs4 import BeautifulSoup

from app.pages.models.readme import readme
from boomerang.card.card import card
from boomerang.card.drawings import drawings
from boomerang.charts.drawing.theme import PAGE
from tests.card.facts import MEMBER, TASKS


def test_a_card_keeps_its_sections_below_those_of_the_page() -> None:
    facts = replace(MEMBER, pictures=True, tasks=TASKS)
    drawn = drawings(facts, PAGE)
    shown = readme(card(facts), drawn)
    found = BeautifulSoup(shown.html, "html.parser")
    assert [h.name for h in found.find_all(re.compile("h[1-6]"))][:2] == ["h3", "h4"]
    assert found.h3 is not None
    assert found.h3.text == "Teacher-1.10B"
    assert len(found.select("svg.chart")) == 2
    assert len(found.select("details summary")) == 1
    assert found.select("details table tbody tr")
    metadata = dict(shown.metadata)
    assert metadata["base_model"].startswith("org/Teacher")
    assert metadata["model-index"].endswith("results")
    # Pages allow no style of their own, and no picture from elsewhere.
    assert "style=" not in shown.html
    assert "<img" not in shown.html
    assert all(a["rel"] == ["noopener", "noreferrer"] for a in found.find_all("a"))


def test_what_others_wrote_is_text() -> None:
    text = (
        "---\nlicense: <b>\n---\n# <script>alert(1)</script>\n\n"
        "<details><summary><i>x</i></summary>\n\nin\n\n</details>\n\n"
        "[a](javascript:alert) ![<b>](https://elsewhere.example/x.png) ![](images/quality.png)\n\n"
        "| a |\n| ---: |\n| <img src=x onerror=y> |\n"
    )
    shown = readme(text, {})
    found = BeautifulSoup(shown.html, "html.parser")
    assert found.find(["script", "img", "b", "i", "details"]) is None
    assert [a.get("href") for a in found.find_all("a")] == []
    assert "&lt;script&gt;" in shown.html
    assert found.select_one("td.right") is not None
    assert shown.metadata == (("license", "<b>"),)


def test_a_card_without_metadata_has_none() -> None:
    assert readme("# x", {}).metadata == ()
    assert readme("---\n- a\n---\nx", {}).metadata == ()
