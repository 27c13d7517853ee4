"""The home page: a card for each family, found, filtered, a page at a time; no more is read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from benchmarks.pages.families import fill
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import StudentState
from boomerang.service.settings import Settings
from tests.app.serving.test_scale import counted, grow

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
EMPTY = ("/", "/?q=nothing", "/?state=failed&q=x", "/?before=1.0~x")


def opened(home: Path) -> TestClient:
    app = create_app(Settings(home=home, redis_url="redis://127.0.0.1:1/0"))
    return TestClient(app, base_url="http://127.0.0.1", headers=HTML)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A front end with sixty families, the newest of which is being distilled."""
    with opened(tmp_path_factory.mktemp("home")) as client:
        fill(client.app.state.context.catalog, 60, 20)  # type: ignore[attr-defined]
        yield client


def catalog_of(client: TestClient) -> Catalog:
    found: Catalog = client.app.state.context.catalog  # type: ignore[attr-defined]
    return found


def page(client: TestClient, at: str) -> str:
    answer = client.get(at)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert "style=" not in answer.text
    assert answer.text.count("<h1") == ("part=" not in at)
    return answer.text


def shown(text: str) -> list[str]:
    return re.findall(r'<h2><a href="/families/(\w+)"', text)


def test_pages_lead_from_the_newest_to_the_oldest(many: TestClient) -> None:
    at, seen, pages = "/", list[str](), 0
    while at:
        text = page(many, at)
        seen += shown(text)
        pages += 1
        found = re.search(r'href="([^"]+)" rel="next"', text)
        at = found[1].replace("&amp;", "&") if found else ""
    assert seen == [f"{i:012x}" for i in reversed(range(60))]
    assert pages == 3


def test_a_card_says_what_there_is(many: TestClient) -> None:
    text = page(many, "/?state=ready&q=qwen")
    assert 0 < len(shown(text)) <= 10
    card = text[text.index('<li class="card family">') :].partition("</li>")[0]
    assert "Qwen/Qwen3-4B-Base" in card
    for part in ("<strong>2.211B</strong>", "<strong>4.020B</strong>", "20 sizes, 19 of 38 layers",
                 "20 measured", "3 built", 'class="chart spark"'):  # fmt: skip
        assert part in card
    distilling = page(many, "/?state=distilling")
    assert shown(distilling) == [f"{59:012x}"]
    assert f'class="steps" data-student="{59:032x}"' in distilling
    failed = page(many, "/?state=failed")
    assert "The loss became nan at step 310 of 500." in failed


def test_filters_keep_what_is_searched_and_the_search_its_filter(many: TestClient) -> None:
    text = page(many, "/?state=ready&q=qwen")
    assert 'href="/?q=qwen&amp;state=failed"' in text
    assert '<input type="hidden" name="state" value="ready">' in text
    assert 'value="qwen"' in text
    # As a form sends what nobody filled in.
    assert shown(page(many, "/?q=&state=&before=")) == shown(page(many, "/"))
    assert many.get("/?state=asleep").status_code in (400, 422)


def test_a_part_is_the_page_without_the_rest(many: TestClient) -> None:
    whole, part = page(many, "/?q=qwen"), page(many, "/?q=qwen&part=families")
    assert part.strip() in whole
    assert part.lstrip().startswith(
        '<section id="families" data-part="families" data-on="families"'
    )
    assert many.get("/?part=nothing").status_code == 404


def test_a_page_reads_as_much_of_many_as_of_few(many: TestClient, tmp_path: Path) -> None:
    with opened(tmp_path) as few:
        grow(catalog_of(few), 0, 3)
        with counted(catalog_of(few)) as of_few:
            page(few, "/")
    for at in ("/", "/?part=families", "/?state=ready", "/?q=e"):
        with counted(catalog_of(many)) as of_many:
            page(many, at)
        assert len(of_many) <= len(of_few) <= 9
        # No question is without a bound.
        assert not [one for one in of_many if "FROM members" in one and "WHERE" not in one]
        assert not [one for one in of_many if one.count("FROM names") and "WHERE" not in one]


@pytest.mark.parametrize("at", EMPTY)
def test_where_there_is_nothing_it_says_what_helps(tmp_path: Path, at: str) -> None:
    with opened(tmp_path) as client:
        text = page(client, at)
        assert ("No family yet" in text) is (at == "/")
        assert ("Nothing found" in text) is (at != "/")
        assert 'href="/new"' in text
        if at == "/":
            assert "curl -X POST http://127.0.0.1/families" in text


def test_what_is_searched_is_text(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        text = page(client, "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def test_states_as_they_change(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        catalog, key = catalog_of(client), f"{0:032}"
        grow(catalog, 0, 1)
        assert ">queued</span>" in page(client, "/")
        catalog.set_student_state(key, StudentState.DISTILLING)
        catalog.student_progress(key, {"step": 3, "steps": 8, "loss": 1.5, "eta_s": 7200.0})
        assert "step 3 of 8, loss 1.500, 2.0 h left" in page(client, "/")
        catalog.set_student_state(key, StudentState.FAILED, "out of <memory>")
        assert "out of &lt;memory&gt;" in page(client, "/")
