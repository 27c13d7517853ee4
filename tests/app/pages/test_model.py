"""The page of a size: how it is run, what was measured, what it is made of, its card."""

import hashlib
import shutil
from collections.abc import Callable
from typing import Any

import httpx
from bs4 import BeautifulSoup, Tag

from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front
from tests.app.pages.test_pages import HTML, page

FIGURES: dict[str, Any] = {
    "perplexity": 7.256, "kl": 0.5, "naive_perplexity": 99.0, "agreement": 0.612,
    "acceptance": 0.7, "drafted": 1.0, "by_position": [9.5, None],
    "errors": {"perplexity": 0.12, "kl": None, "windows": 64.0, "tokens": 65536.0},
    "generation": {"agreement": 0.5, "repetition": 0.1, "empty": 0.0, "stopped": 0.875},
}  # fmt: skip


def shown(front: Front, path: str) -> BeautifulSoup:
    return BeautifulSoup(page(front, path), "html.parser")


def words(found: Tag | None) -> str:
    assert found is not None
    return " ".join(found.get_text(" ").split())


def sized(front: Front, **body: Any) -> tuple[Family, Member, str]:
    family = front.ready(**body)
    member = front.catalog.members(family.id)[1]
    return family, member, f"/models/{member.size}?family={family.id}"


def test_how_it_is_run_and_what_it_is_made_of(shared: Front) -> None:
    family, member, url = sized(shared)
    found = shown(shared, url)
    assert words(found.h1) == f"teacher-{member.size}"
    # Without a script each way of running it is a section under a heading.
    ways = [words(h3) for h3 in found.select("[data-tabs] h3")]
    assert ways == ["Transformers", "hf download", "vLLM", "curl"]
    code = words(found.select_one("[data-tabs]"))
    assert f'os.environ["HF_ENDPOINT"] = "{shared.base}"' in code
    assert f'from_pretrained("boomerang/teacher-{member.size}")' in code
    assert f"curl -fLOJ '{shared.base}{url}'" in code
    origin = words(found.select_one(".origin"))
    for said in (member.code, member.digest, family.student, family.commit):
        assert said in origin
    assert found.select_one("svg.layers, .picture svg") is not None
    assert "Nothing yet" in words(found.select_one("#measures"))
    assert words(found.select_one("#memory")) == "Memory to run it"
    # Of a teacher whose shape was kept: contexts, and a device that has room.
    assert "8 GB are enough at 8,192 tokens" in found.get_text(" ", strip=True)


def test_what_is_downloaded_is_the_file_also_to_a_browser_that_asks_as_for_a_page(
    shared: Front,
) -> None:
    _, member, url = sized(shared)
    [link] = shown(shared, url).select("a[download]")
    for accept in (HTML, {"Accept": "application/json"}, {"Accept": "*/*"}):
        answer = shared.client.get(str(link["href"]), headers=accept)
        assert answer.headers["content-type"] == "application/x-tar"
        assert f"teacher-{member.size}.tar" in answer.headers["content-disposition"]


def test_a_published_size_leads_to_its_repository_on_the_hub_that_is_used(
    make_front: Callable[..., Front],
) -> None:
    front = make_front(HF_ENDPOINT="http://127.0.0.1:1/mirror/")
    family, member, url = sized(front)
    front.catalog.set_fact(family.id, member.k, "published", Fact.RUNNING)
    front.catalog.set_fact(
        family.id, member.k, "published", Fact.YES, repo="me/it", commit="c" * 40
    )
    [link] = shown(front, url).select(".states a")
    assert link["href"] == "http://127.0.0.1:1/mirror/me/it"


def test_files_have_their_hashes_where_those_are_known(shared: Front) -> None:
    _, member, url = sized(shared)
    listed = shown(shared, url).select(".files tbody tr")
    rows = {words(row.th): words(row.find_all("td")[1]) for row in listed}
    assert rows["model.safetensors"] == "not hashed yet"
    for name in ("config.json", "README.md", "boomerang.json", "tokenizer.json"):
        there = shared.client.get(url.replace("?", f"/{name}?")).content
        assert rows[name] == hashlib.sha256(there).hexdigest(), name
    told = shared.client.get(url, headers={"Accept": "application/json"}).json()
    assert told["size"] == member.size


def test_figures_with_their_errors(front: Front) -> None:
    family, member, url = sized(front)
    front.catalog.set_fact(family.id, member.k, "measured", Fact.YES, **FIGURES)
    metric = {"task": "arc_easy", "metric": "acc", "filter": "none", "value": 0.5125,
              "stderr": 0.0125, "version": "1.0", "samples": 400, "shots": 0}  # fmt: skip
    result = {"name": "arc_easy", "limit": 400, "harness": "0.4", "failed": None,
              "metrics": [metric]}  # fmt: skip
    front.catalog.set_task(family.id, member.k, result)
    lost = {**result, "name": "piqa", "failed": "no <data>", "metrics": []}
    front.catalog.set_task(family.id, member.k, lost)
    found = shown(front, url)
    text = words(found.select_one("#measures"))
    for said in (
        "perplexity 7.26 ± 0.12 99", "agreement with the teacher 61.2 %",
        "accepted by the teacher 70.0 %", "accepted by it 100.0 %", "repeats itself 10.0 %",
        "ends its turns in conversations 87.5 %", "9.50, –", "64 windows, 65,536 tokens",
        "arc_easy acc 0.512 ± 0.013 400 (limited) 0 0.4", "piqa failed no <data>",
    ):  # fmt: skip
        assert said in text.replace("\N{NO-BREAK SPACE}", " "), said
    part = front.client.get(f"{url}&part=measures", headers=HTML).text
    assert "<html" not in part
    assert 'data-part="measures"' in part
    # The card says the same, drawn here and from nowhere else.
    card = found.select_one("#card")
    assert card is not None
    assert "7.26 ± 0.12" in words(card).replace("\N{NO-BREAK SPACE}", " ")
    assert card.select("svg.chart")
    assert card.find("img") is None
    assert "style=" not in str(found)
    # Measured by a version that knew nothing more.
    plain = {"perplexity": 7.0, "kl": 0.1}
    front.catalog.set_fact(family.id, 0, "measured", Fact.YES, **plain)
    small = front.catalog.members(family.id)[0]
    less = words(shown(front, f"/models/{small.size}?family={family.id}").select_one("#measures"))
    assert less.count("not measured") == 3


def test_one_that_is_not_there_yet_shows_what_there_is(front: Front) -> None:
    made = front.queued()
    url = made["members"][0]["url"]
    front.catalog.set_student_state(made["student"]["key"], StudentState.DISTILLING)
    front.catalog.student_progress(made["student"]["key"], {"step": 3, "steps": 8, "loss": 1.5})
    found = shown(front, url)
    assert "step 3 of 8, loss 1.500" in words(found.select_one("#state"))
    assert found.select_one("a[download]") is None
    assert found.select_one("[data-tabs]") is None
    assert "curl -fLOJ" in words(found.select_one("#use").parent)  # type: ignore[union-attr]
    assert found.select_one("#memory") is not None
    assert found.select_one(".picture svg") is not None


def test_of_several_families_that_have_a_size_people_choose(front: Front) -> None:
    one, member, _ = sized(front)
    other = front.ready(order="first")
    answer = front.client.get(f"/models/{member.size}", headers=HTML)
    assert answer.status_code == 300
    assert answer.headers["content-type"].startswith("text/html")
    found = BeautifulSoup(answer.text, "html.parser")
    leads = [a["href"] for a in found.select(".cards a")]
    assert sorted(leads) == sorted(
        f"/models/{member.size}?family={family.id}" for family in (one, other)
    )
    assert shown(front, leads[0]).h1 is not None


def test_names_are_text(front: Front) -> None:
    name = "<b>'q\"&ü模"
    shutil.copytree(front.models / "teacher", front.models / name)
    _, _, url = sized(front, teacher=name)
    found = shown(front, url)
    assert found.select("h1 b, .readme h3 b, pre b, dd b") == []
    assert "<b>" in words(found.h1)


def test_who_may_only_read_is_offered_no_publication(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="publish:owner,read:reader")
    _, _, url = sized(front)
    seen = {}
    for key in ("owner", "reader"):
        headers = HTML | {"Authorization": f"Bearer {key}"}
        seen[key] = httpx.get(front.base + url, headers=headers, trust_env=False).text
    assert "/publish" in seen["owner"]
    assert "/publish" not in seen["reader"]
    assert "HF_TOKEN" in seen["reader"]
