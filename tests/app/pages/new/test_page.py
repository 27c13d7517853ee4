"""The form that asks for a family: its ladder without a script, what is wrong where it is wrong."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.app.conftest import Front, problem
from tests.app.visitor import Visitor

HTML = {"Accept": "text/html"}


def shown(front: Front, status: int = 200, **typed: str) -> str:
    answer = front.client.get("/new", params=typed, headers=HTML)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def sizes(text: str) -> list[dict[str, Any]]:
    """What the slider is made of."""
    found = re.search(r'data-all="([^"]*)"', text)
    assert found is not None
    listed: list[dict[str, Any]] = json.loads(unescape(found[1]))
    return listed


def test_a_named_teacher_shows_the_ladder_that_the_api_tells(shared: Front) -> None:
    text = shown(shared, teacher="teacher", recipe="smoke")
    plan = shared.client.get("/plan", params={"teacher": "teacher", "recipe": "smoke"}).json()
    listed = sizes(text)
    assert [one["size"] for one in listed] == [one["size"] for one in plan["members"]]
    assert [one["parameters"] for one in listed] == [
        f"{m['parameters']:,}" for m in plan["members"]
    ]
    for one in listed:
        # Without a script a size is chosen from the table.
        assert f'<input type="radio" name="budget" value="{one["size"]}"' in text
    assert text.count("every size</span>") == 5
    assert "Provisional" not in text
    assert "Provisional" in shown(shared, teacher="teacher", recipe="default")


def test_without_a_teacher_it_waits_for_one(shared: Front) -> None:
    text = shown(shared)
    assert "The sizes appear here." in text
    assert 'action="/forms/families"' in text
    assert "<script>" not in text
    assert " style=" not in text


def test_what_is_wrong_stands_at_its_field(shared: Front) -> None:
    text = shown(shared, 404, teacher="nothing/here/below")
    assert re.search(r'id="teacher-error">[^<]*nothing/here/below', text)
    assert 'aria-describedby="teacher-hint teacher-error" aria-invalid="true"' in text
    text = shown(shared, 422, teacher="teacher", kept="a,b")
    assert re.search(r'id="kept-error">[^<]*a,b', text)
    assert '<details class="card more" open' in text
    text = shown(shared, 422, teacher="teacher", student="<b>teacher</b>")
    assert "<b>teacher" not in text
    # In a page that is there already it is a part as any other.
    assert 'data-field="teacher"' in shown(shared, teacher="../x", part="ladder")


def test_a_size_that_was_chosen_stays_chosen(shared: Front) -> None:
    listed = sizes(shown(shared, teacher="teacher", recipe="smoke"))
    text = shown(shared, teacher="teacher", recipe="smoke", budget=listed[1]["size"])
    assert re.search(rf'value="{listed[1]["size"]}" checked', text)
    place = re.search(
        r'id="size" [^>]*value="(\d+)" data-sizes="([^"]*)" data-places="([^"]*)"', text
    )
    assert place is not None
    assert place[2].split() == [one["size"] for one in listed]
    assert place[1] == place[3].split()[1]
    assert (place[3].split()[0], place[3].split()[-1]) == ("0", "1000")
    # One of another teacher is none of this one's.
    assert " checked" in shown(shared, teacher="teacher", budget="70.6B")


def test_memory_is_shown_as_it_would_be_run(shared: Front) -> None:
    wide, narrow = (
        sizes(shown(shared, teacher="teacher", recipe="smoke", dtype=dtype, context="64"))
        for dtype in ("float32", "int8")
    )
    assert set(wide[0]["cells"]) == {f"{w}-64" for w in ("float32", "bfloat16", "int8", "q4")}
    assert wide[0]["cells"] == narrow[0]["cells"]
    assert wide[0]["holds"] == [8, 16, 24, 48, 80]


def test_an_address_keeps_what_was_typed_and_no_token(shared: Front) -> None:
    sent = {"teacher": "teacher", "csrf": "secret", "kept": "", "recipe": "smoke"}
    answer = shared.client.get("/new", params=sent, headers=HTML)
    assert answer.status_code == 303
    kept = parse_qs(urlsplit(answer.headers["location"]).query)
    assert kept == {"teacher": ["teacher"], "recipe": ["smoke"]}


def test_programs_get_the_plan_there(shared: Front) -> None:
    answer = shared.client.get("/new?teacher=teacher", headers={"Accept": "application/json"})
    assert answer.json() == shared.client.get("/plan?teacher=teacher").json()
    problem(shared.client.get("/new?teacher=../x", headers={"Accept": "application/json"}), 422,
            "bad-name")  # fmt: skip


def test_where_there_is_no_family_home_has_the_form(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="build:one,read:two")
    text = front.client.get("/", headers=HTML).text
    assert 'id="teacher"' in text
    assert "/js/new.js" in text
    assert 'id="teacher"' not in front.client.get("/?q=x", headers=HTML).text
    reader = httpx.get(front.base, headers=HTML | {"Authorization": "Bearer two"}, trust_env=False)
    assert 'id="teacher"' not in reader.text
    front.queued()
    assert 'id="teacher"' not in front.client.get("/", headers=HTML).text


def test_a_refused_request_is_shown_again_as_it_was_typed(shared: Front) -> None:
    visitor = Visitor(shared.base)
    typed = {"teacher": "teacher", "text": "nowhere", "recipe": "published"}
    with closing(visitor.client):
        refused = visitor.send("/forms/families", on="/new", **typed, notify="http://x")
        again = visitor.send("/forms/families", on="/new", **typed)
    assert refused.status_code == again.status_code == 422
    # What the form has no field for is said above it.
    assert re.search(r'role="alert">[^<]*notify', refused.text, re.IGNORECASE)
    assert 'value="nowhere"' in refused.text
    assert len(sizes(refused.text)) == 4
    assert re.search(r'id="text-error">[^<]*nowhere', again.text)
    assert '<option value="published" selected' in again.text


def test_families_of_that_teacher_are_told_of(shared: Front) -> None:
    assert "There already" not in shown(shared, teacher="teacher")
    made = shared.post(teacher="teacher", data="texts").json()
    assert f'<a href="/families/{made["id"]}">teacher</a> (queued)' in shown(
        shared, teacher="teacher"
    )
    assert "There already" not in shown(shared, teacher="student")


def test_only_who_may_publish_is_offered_that(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="build:one,publish:two", BOOMERANG_NAMESPACE="us")
    assert "publish_namespace" not in shown(front)
    all_of_it = httpx.get(
        f"{front.base}/new", headers=HTML | {"Authorization": "Bearer two"}, trust_env=False
    )
    assert 'placeholder="us"' in all_of_it.text


@pytest.mark.parametrize("teacher", ["teacher"])
def test_all_that_is_sent_is_light(shared: Front, teacher: str) -> None:
    text = shown(shared, teacher=teacher)
    weight = len(text.encode())
    for path in {*re.findall(r'(?:href|src)="(/static/[^"]+)"', text),
                 "/static/js/combobox.js", "/static/js/slider.js"}:  # fmt: skip
        weight += len(shared.client.get(path).content)
    assert weight < 150_000
