"""The page of a family: each question has its part, and an address for every state of it."""

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup, Tag

from boomerang.catalog.records.rebuilds import Item
from boomerang.catalog.records.states import Fact, StudentState
from tests.app.api.test_provisional import ASKED
from tests.app.api.test_provisional import large as large_files
from tests.app.conftest import Front
from tests.app.pages.test_pages import HTML, page
from tests.support.ladders import DIP, distilled, large

PARTS = ("head", "run", "sizes", "ladder", "asked", "log")
MOST_BYTES = 150_000


@pytest.fixture(scope="module")
def family(shared: Front) -> str:
    """A family of a large teacher, measured."""
    return large(shared.catalog)


def shown(front: Front, family: str, query: str = "") -> BeautifulSoup:
    return BeautifulSoup(page(front, f"/families/{family}{query}"), "html.parser")


def one(soup: BeautifulSoup | Tag, selector: str) -> Tag:
    [found] = soup.select(selector)
    return found


def words(tag: Tag) -> str:
    return " ".join(tag.get_text(" ").split())


def test_each_part_is_had_alone(shared: Front, family: str) -> None:
    whole = shown(shared, family)
    assert [part["data-part"] for part in whole.select("[data-part]")] == [
        "head", "run", "sizes", "ladder", "log", "asked",
    ]  # fmt: skip
    for name in PARTS:
        answer = shared.client.get(f"/families/{family}?part={name}", headers=HTML)
        part = BeautifulSoup(answer.text, "html.parser")
        assert "<html" not in answer.text
        assert one(part, "[data-part]")["id"] == name
        assert f"family:{family}" in answer.text or name == "run"
    assert shared.client.get(f"/families/{family}?part=other", headers=HTML).status_code == 404


def test_a_size_is_chosen_by_the_address(shared: Front, family: str) -> None:
    members = shared.catalog.members(family)
    # Until somebody chooses, it is what the family was asked for.
    assert words(one(shown(shared, family), "#chosen .name")).startswith(members[9].size)
    soup = shown(shared, family, f"?size={members[3].size}&metric=kl")
    about = one(soup, "#chosen")
    assert words(one(about, ".name")).startswith(members[3].size)
    assert f"{members[3].parameters:,} parameters" in words(about)
    assert one(about, "a[download]")["href"].startswith(
        f"/models/{members[3].size}?family={family}&"
    )
    assert {tag["data-size"] for tag in soup.select(".chosen")} == {members[3].size}
    # Its place on the curve, its layers, its row.
    assert len(soup.select(".chosen")) == 3
    assert one(soup, "#sizes .tabs [aria-current]").text == "KL to the teacher"
    for wrong in ("?size=9.99Q", "?metric=speed", "?context=7", "?sort=name", "?before=x"):
        assert words(one(shown(shared, family, wrong), "#chosen .name")).startswith(members[9].size)


def test_every_metric_has_a_curve(shared: Front, family: str) -> None:
    tabs = [str(tab["href"]) for tab in shown(shared, family).select("#sizes .tabs a")]
    assert len(tabs) == 5
    for tab in tabs:
        chart = one(shown(shared, family, tab.partition("#")[0]), "#sizes svg.quality")
        assert len(chart.select(".point a[href^='?size=']")) == 18
    beside = one(shown(shared, family), "#sizes svg.quality").select(".naive")
    assert beside
    assert not one(shown(shared, family, "?naive=no"), "#sizes svg.quality").select(".naive")


def test_a_dip_is_marked_where_it_is(shared: Front, family: str) -> None:
    worse = shared.catalog.members(family)[DIP]
    soup = shown(shared, family, f"?metric=kl&size={worse.size}")
    assert one(soup, "#sizes svg.quality .dip").find_parent(attrs={"data-size": worse.size})
    assert "a smaller size is better" in words(one(soup, "#sizes .legend"))
    row = one(soup, f"#ladder tr[data-size='{worse.size}']")
    assert [tag["title"] for tag in row.select(".down")] == ["a smaller size is better"]
    assert "A dip: its perplexity" in words(one(soup, "#chosen [data-why]"))


@pytest.mark.parametrize("column", ["parameters", "memory", "perplexity", "task:arc_easy", "state"])
def test_the_ladder_is_sorted_by_a_column(shared: Front, family: str, column: str) -> None:
    def names(query: str) -> list[str]:
        rows = shown(shared, family, query).select("#ladder tbody tr")
        return [str(row["data-size"]) for row in rows]

    def heading(query: str) -> Tag:
        return one(shown(shared, family, query), f"#ladder th[data-col='{column}']")

    up, down = names(f"?sort={column}"), names(f"?sort=-{column}")
    assert sorted(up) == sorted(down)
    if column != "state":
        assert up == down[::-1]
    assert (up == sorted(up, key=lambda name: float(name[:-1]))) is (column != "perplexity")
    assert heading(f"?sort={column}")["aria-sort"] == "ascending"
    assert (
        one(heading(f"?sort={column}"), "a")["href"]
        == f"?sort=-{column.replace(':', '%3A')}#ladder"
    )
    assert heading(f"?sort=-{column}")["aria-sort"] == "descending"


def test_memory_is_told_for_a_length(shared: Front, family: str) -> None:
    def needs(query: str) -> list[int]:
        rows = shown(shared, family, query).select("#ladder td[data-fits]")
        return [int(str(cell["data-value"])) for cell in rows]

    short, long = needs("?context=2048"), needs("?context=131072")
    assert all(a < b for a, b in pairwise(short))
    # Keys and values of 2,048 numbers a token and layer, two bytes each, and what a pass takes.
    least = (131072 - 2048) * 2048 * 19 * 2
    assert long[0] - short[0] > least
    assert "more than 80 GB" not in words(one(shown(shared, family, "?context=131072"), "#ladder"))


def test_the_loss_of_a_run_and_what_happened(front: Front) -> None:
    run = large(front.catalog, state=StudentState.DISTILLING, measured=False)
    key = front.catalog.family(run).student
    assert not shown(front, run).select("#run svg")
    distilled(front.catalog, key, 120, 500)
    soup = shown(front, run)
    assert one(soup, "#run")["data-on"] == f"steps:{key} student:{key}"
    assert "at step 120" in words(one(soup, "#run svg.loss desc"))
    assert one(soup, "#head progress")["value"] == "120"
    assert "once the student is ready" in words(one(soup, "#sizes"))
    assert not soup.select("a[download]")
    front.catalog.set_student_state(key, StudentState.FAILED, "no <room>")
    soup = shown(front, run)
    bad = [words(entry) for entry in soup.select("#log li.bad")]
    assert any("Distilling failed: no <room>" in entry for entry in bad)
    assert one(soup, "#run details svg.loss")
    for number in range(30):
        front.catalog.student_note(key, "unverified", {"reason": str(number)})
    older = one(shown(front, run), "#log .toolbar a")
    back = words(one(shown(front, run, str(older["href"]).partition("#")[0]), "#log ol"))
    assert "looked at: 6" in back
    assert "looked at: 29" not in back


def test_a_rebuild_is_told_in_words_and_leads_to_nothing_for_programs(front: Front) -> None:
    family = large(front.catalog)
    number = front.catalog.rebuild(family).rebuild
    lease = front.catalog.lease_acquire(f"rebuild:{family}", "worker", 60)
    assert lease is not None
    found = [Item(kind="repository", name=name, state="whole") for name in ("me/one", "me/two")]
    wrong = Item(kind="student", name="s", state="broken", found="1 file lacks", reason="no room")
    found.append(wrong)
    front.catalog.rebuild_waits(number, lease=lease)
    front.catalog.rebuild_found(number, found, lease=lease)
    asked = one(shown(front, family), "#asked")
    assert "looked at 1 student, 2 repositories" in words(asked)
    assert "1 file lacks; no room" in words(asked)
    assert not asked.select("a")


def test_what_a_key_may_not_do_is_not_offered(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="all,build:maker,read:reader")
    # It is nobody's: only who may do everything ends it, or has it made anew.
    id_ = large(front.catalog)
    run = large(front.catalog, name="Running", state=StudentState.DISTILLING, measured=False)
    offered = {"all": {"publish", "measure", "rebuild"}, "maker": {"measure"},
               "reader": set[str]()}  # fmt: skip
    for key, forms in offered.items():
        sent = HTML | {"Authorization": f"Bearer {key}"}
        soup = BeautifulSoup(front.client.get(f"/families/{id_}", headers=sent).text, "html.parser")
        actions = {str(form["action"]).rpartition("/")[2] for form in soup.select("#head form")}
        # What was asked for is still open.
        assert actions == forms | ({"cancel"} if key == "all" else set())
        assert bool(soup.select(f"a[href='/families/{id_}/delete']")) is (key == "all")
        text = front.client.get(f"/families/{run}", headers=sent).text
        assert ("/cancel" in text) is (key == "all")


@pytest.mark.slow("files of some size are planned")
def test_a_family_whose_files_are_being_hashed(front: Front) -> None:
    large_files(front)
    made = front.post(**ASKED).json()
    soup = shown(front, made["id"])
    assert "student hashing" in words(one(soup, "#head"))
    assert len(soup.select("#ladder tbody tr")) == len(made["members"])
    assert soup.select("#sizes") == []
    for part in PARTS:
        answer = front.client.get(f"/families/{made['id']}?part={part}", headers=HTML)
        assert answer.status_code == 200


def test_a_size_that_could_not_be_had_says_why(front: Front) -> None:
    id_ = large(front.catalog)
    member = front.catalog.members(id_)[2]
    reason = f"no room in {front.home}/members"
    front.catalog.set_fact(id_, member.k, "built", Fact.FAILED, reason)
    soup = shown(front, id_, f"?size={member.size}")
    assert words(one(soup, "#chosen .name")).endswith("failed")
    assert "no room in" in words(one(soup, "#chosen [data-why]"))
    assert str(front.home) not in str(soup)


@pytest.mark.parametrize("depth", [36, 80])
def test_it_is_light_and_has_no_style_or_script_of_its_own(shared: Front, depth: int) -> None:
    id_ = large(shared.catalog, name=f"Deep{depth}", depth=depth)
    text = page(shared, f"/families/{id_}")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
    soup = BeautifulSoup(text, "html.parser")
    files = [str(tag["src"]) for tag in soup.select("script[src]")]
    files += [str(tag["href"]) for tag in soup.select("link[rel=stylesheet]")]
    files += ["/static/js/stream.js", "/static/js/keeping.js"]
    total = len(text.encode()) + sum(len(shared.client.get(at).content) for at in files)
    assert total < MOST_BYTES
