"""The pages: what they say, escaped, at the same addresses as the JSON."""

import re
import shutil

import pytest

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page(front: Front, path: str) -> str:
    answer = front.client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    return answer.text


def test_before_there_is_a_family_it_says_how_to_ask(shared: Front) -> None:
    text = page(shared, "/")
    assert "No family yet" in text
    assert f"curl -X POST {shared.base}/families" in text


def test_the_address_of_all_families_is_their_page_in_a_browser(shared: Front) -> None:
    for address, to in (
        ("/families", "/"),
        ("/families?q=a%20b&state=ready", "/?q=a%20b&state=ready"),
    ):
        answer = shared.client.get(address, headers=HTML, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, to)
        for accept in ("application/json", "*/*"):
            said = shared.client.get(address, headers={"Accept": accept})
            assert said.headers["vary"] == "Accept"
            assert "families" in said.json()


def test_states_and_figures(front: Front) -> None:
    made = front.queued()
    key = made["student"]["key"]
    assert ">queued<" in page(front, "/")
    front.catalog.set_student_state(key, StudentState.DISTILLING)
    front.catalog.student_progress(key, {"step": 3, "steps": 8, "loss": 1.5, "eta_s": 40.2})
    for path in ("/", f"/families/{made['id']}", made["members"][0]["url"]):
        text = page(front, path)
        assert "step 3 of 8, loss 1.500, 40 s left" in text
        assert ">tar<" not in text
    front.catalog.set_student_state(key, StudentState.FAILED, "out of <memory>")
    assert "out of &lt;memory&gt;" in page(front, "/")
    family = front.ready()
    small, *_, large = front.catalog.members(family.id)
    front.catalog.set_fact(
        family.id, small.k, "measured", Fact.YES, perplexity=7.256, kl=0.5, naive_perplexity=99.0
    )
    front.catalog.set_fact(family.id, large.k, "built", Fact.YES)
    front.catalog.add_requests(family.id, ())
    text = page(front, f"/families/{family.id}?size={small.size}")
    for part in (small.size, f"{small.parameters:,}", "7.256", "99.00", ">built<",
                 ">possible<", ">tar<"):  # fmt: skip
        assert part in text


def test_how_like_its_teacher_a_size_is(front: Front) -> None:
    family = front.ready()
    small = front.catalog.members(family.id)[0]
    figures = {"perplexity": 7.25, "agreement": 0.612, "acceptance": 0.7, "drafted": 1.0}
    front.catalog.set_fact(
        family.id,
        small.k,
        "measured",
        Fact.YES,
        by_position=[9.5, None],
        **figures,
        generation={"agreement": 0.5, "repetition": 0.1, "empty": 0.0, "stopped": 0.875},
    )
    assert ">61.2 %<" in page(front, f"/families/{family.id}")


def test_figures_of_a_part_of_the_text_are_shown_as_such_and_stand_on_no_card(front: Front) -> None:
    family = front.ready()
    small = front.catalog.members(family.id)[0]
    front.catalog.set_measuring(family.id, Fact.RUNNING, "measuring, so far 1,024 of 65,536 tokens")
    reason = "so far 1,024 of 65,536 tokens"
    front.catalog.set_fact(family.id, small.k, "measured", Fact.NO, reason, perplexity=7.25, kl=0.5)
    text = page(front, f"/families/{family.id}")
    assert "<td>7.25…</td>" in text
    assert "measuring, so far 1,024 of 65,536 tokens" in text
    card = f"/models/{small.size}/README.md?family={family.id}"
    assert "7.25" not in front.client.get(card).text
    front.catalog.set_fact(family.id, small.k, "measured", Fact.YES, perplexity=7.25, kl=0.5)
    assert "<td>7.25</td>" in page(front, f"/families/{family.id}")
    assert "7.25" in front.client.get(card).text


def test_names_are_text(front: Front) -> None:
    name = "<b>'q\"&ü模"
    shutil.copytree(front.models / "teacher", front.models / name)
    family = front.ready(teacher=name)
    for path in ("/", f"/families/{family.id}"):
        text = page(front, path)
        assert "<b>" not in text
        assert "&lt;b&gt;" in text
    size = front.catalog.members(family.id)[0].size
    answer = front.client.get(f"/models/{size}?family={family.id}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].isascii()


@pytest.mark.parametrize("path", ["js/live.js", "css/base.css", "icon.svg"])
def test_what_pages_load_is_kept_until_it_is_another(shared: Front, path: str) -> None:
    found = re.search(rf'"(/static/[0-9a-f]{{8}}/{re.escape(path)})"', page(shared, "/"))
    assert found is not None
    answer = shared.client.get(found[1])
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    # Whoever says no version, or another, gets what there is and asks again the next time.
    for other in (f"/static/{path}", f"/static/00000000/{path}"):
        again = shared.client.get(other)
        assert (again.status_code, again.content) == (200, answer.content)
        assert again.headers["cache-control"] == "no-cache"
    assert shared.client.get("/static/00000000/../../home.py").status_code == 404
