"""What the forms of a family do, for whom, and from which page."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.tables import EventRow
from tests.app.conftest import Front
from tests.app.visitor import HTML, Visitor

pytestmark = pytest.mark.slow("front ends with keys of their own")

KEYS = "publish:publisher,build:builder,read:reader"
ACTIONS = ("cancel", "retry", "rebuild", "measure", "publish", "delete")


@pytest.fixture
def visit() -> Iterator[Callable[[Front], Visitor]]:
    made: list[Visitor] = []

    def visitor(front: Front) -> Visitor:
        made.append(Visitor(front.base))
        return made[-1]

    yield visitor
    for one in made:
        one.client.close()


@pytest.fixture
def keyed(make_front: Callable[..., Front]) -> Front:
    return make_front(BOOMERANG_API_KEYS=KEYS)


def posts(front: Front) -> list[str]:
    """Every address that takes a form."""
    from app.main import create_app

    def below(routes: Iterable[Any]) -> Iterator[Any]:
        for route in routes:
            router = getattr(route, "original_router", None)
            yield from [route] if router is None else below(router.routes)

    found = {
        route.path.replace("{id_}", "x")
        for route in below(create_app(front.settings).routes)
        if "POST" in (getattr(route, "methods", None) or ())
    }
    return sorted(path for path in found if path.startswith(("/forms/", "/login", "/logout")))


def test_a_form_of_another_page_or_browser_is_none(
    keyed: Front, visit: Callable[[Front], Visitor]
) -> None:
    browser, other = visit(keyed), visit(keyed)
    assert browser.log_in("publisher").status_code == 303
    assert other.log_in("publisher").status_code == 303
    mine, theirs = browser.token("/"), other.token("/")
    before = visit(keyed).token()
    assert mine != theirs
    addresses = posts(keyed)
    assert {"/login", "/logout", "/forms/families/x/delete"} <= set(addresses)
    for address in addresses:
        for token in (theirs, before, "", "0" * 64, mine.upper(), f"{mine}é"):
            sent = browser.client.post(address, data={"csrf": token}, headers=browser.origin)
            assert sent.status_code == 403, (address, token)
            assert "was not made for this browser" in sent.text
        assert browser.client.post(address, headers=browser.origin).status_code == 403
        # With the right token, but from a page of others.
        for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                       {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                       {"Origin": f"http://127.0.0.1:{keyed.port + 1}"}):  # fmt: skip
            sent = browser.client.post(address, data={"csrf": mine}, headers=origin)
            assert sent.status_code == 403, (address, origin)
            assert "Another site" in sent.text
        # Nor is it anything else than a form.
        for content in ({"json": {"csrf": mine}}, {"files": {"csrf": (None, mine)}}):
            assert browser.client.post(address, **content).status_code == 415
    assert browser.get("/").status_code == 200
    # An old browser says nothing of where it is, and has the token.
    gone = browser.client.post("/forms/families/x/cancel", data={"csrf": mine})
    assert (gone.status_code, "Family not found" in gone.text) == (404, True)


def test_a_form_needs_what_the_request_needs_that_it_stands_for(
    keyed: Front, visit: Callable[[Front], Visitor]
) -> None:
    needed = dict.fromkeys(ACTIONS, "build") | {"publish": "publish"}
    for key in ("reader", "builder", "publisher"):
        browser = visit(keyed)
        assert browser.log_in(key).status_code == 303
        token = browser.token("/")
        for action, scope in needed.items():
            data = {"csrf": token, "size": "*", "namespace": "me"}
            url = f"/forms/families/x/{action}"
            sent = browser.client.post(url, data=data, headers=browser.origin)
            enough = key == "publisher" or (key, scope) == ("builder", "build")
            assert sent.status_code == (404 if enough else 403), (key, action)
            if not enough:
                assert f"This needs the scope &#39;{scope}&#39;" in sent.text
        asks = browser.get("/families/x/delete").status_code
        assert asks == (403 if key == "reader" else 404)
    nobody = visit(keyed)
    sent = nobody.client.post(
        "/forms/families/x/cancel", data={"csrf": nobody.token()},
        headers=nobody.origin | {"Referer": f"{keyed.base}/families/x?size=2B"},
    )  # fmt: skip
    assert sent.headers["location"] == "/login?next=%2Ffamilies%2Fx%3Fsize%3D2B"
    away = {"Referer": "https://evil.example/families/x"}
    sent = nobody.client.post("/forms/families/x/cancel", headers=nobody.origin | away)
    assert sent.headers["location"] == "/login"


def test_it_does_what_the_request_does_and_says_so_once(
    front: Front, visit: Callable[[Front], Visitor]
) -> None:
    made = front.queued(publish={"namespace": "me"})
    id_, key = made["id"], made["student"]["key"]
    browser = visit(front)
    page = f"/families/{id_}"

    def send(action: str, **fields: str) -> httpx.Response:
        sent = browser.send(f"/forms{page}/{action}", on=f"{page}/delete", **fields)
        assert sent.status_code == 303, sent.text
        return browser.get(sent.headers["location"])

    assert "It is cancelled." in send("cancel").text
    assert front.catalog.student(key).state is StudentState.CANCELLED
    assert "What failed begins anew." in send("retry").text
    assert front.catalog.student(key).state is StudentState.QUEUED
    assert [one.state for one in front.catalog.requests(id_)] == [Fact.NO]
    front.catalog.set_student_state(key, StudentState.READY)
    size = front.catalog.members(id_)[0].size
    send("publish", size=size, namespace="you", private="1")
    send("publish", size="*", namespace="you")
    told = [(one.what, one.options["private"]) for one in front.catalog.requests(id_)[1:]]
    assert told == [(size, True), ("*", False)]
    send("rebuild")
    assert len(front.catalog.rebuilds(id_)) == 1
    anew = browser.send(f"/forms{page}/rebuild", on=f"{page}/delete", force="1")
    other = anew.headers["location"]
    assert other.endswith("?done=anew")
    assert id_ not in other
    send("measure")
    # Nothing of an address is ever shown.
    assert "<b>" not in browser.get(f"{page}?done=<b>evil</b>").text
    assert "evil" not in browser.get(f"{page}?done=evil").text


def test_what_cannot_be_done_is_said_as_a_person_reads_it(
    front: Front, visit: Callable[[Front], Visitor]
) -> None:
    family = front.ready()
    browser, on = visit(front), f"/families/{family.id}/delete"
    wrong = browser.send(f"/forms/families/{family.id}/publish", on=on, size="9X", namespace="me")
    assert wrong.status_code == 404
    assert "<h1>Size not found</h1>" in wrong.text
    nowhere = browser.send(f"/forms/families/{family.id}/publish", on=on, size="*")
    assert nowhere.status_code == 422
    assert "No namespace" in nowhere.text
    for fields in ({"namespace": "me"}, {"size": "*", "namespace": "a/b"}):
        assert browser.send(
            f"/forms/families/{family.id}/publish", on=on, **fields
        ).status_code == 422  # fmt: skip
    answer = browser.get("/families/nothing")
    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert browser.get("/nowhere").headers["content-type"].startswith("text/html")
    for accept in ("application/json", "*/*"):
        said = browser.get("/nowhere", headers={"Accept": accept})
        assert said.headers["content-type"] == "application/problem+json"


def test_deleting_asks_first(front: Front, visit: Callable[[Front], Visitor]) -> None:
    family, queued = front.ready(), front.queued()
    size = front.catalog.members(family.id)[0]
    front.catalog.set_fact(family.id, size.k, "built", Fact.YES)
    kept = Publication(repo="me/one", family=family.id, private=True, card="0" * 64)
    front.catalog.set_publication(kept)
    other = front.ready(order="first")
    browser = visit(front)
    asked = browser.get(f"/families/{family.id}/delete").text
    for said in (
        "me/one",
        "1 folder that was built",
        f"/families/{other.id}",
        "nothing is distilled",
    ):
        assert said in asked, said
    for accept in ("application/json", "*/*"):
        said = front.client.get(f"/families/{family.id}/delete", headers={"Accept": accept}).json()
        assert said["built"] == said["leaving"]["built"] == 1
        assert said["leaving"]["repositories"] == ["me/one"]
    front.catalog.set_student_state(queued["student"]["key"], StudentState.DISTILLING)
    with front.catalog.db.write() as session:
        session.execute(update(EventRow).values(time=EventRow.time - 3 * 3600))
    unfinished = browser.get(f"/families/{queued['id']}/delete").text
    assert "3 hours went into it so far" in " ".join(unfinished.split())
    assert re.search(r"<h1>Delete .+\?</h1>", asked)
    gone = browser.send(f"/forms/families/{family.id}/delete", on=f"/families/{family.id}/delete")
    assert gone.headers["location"] == "/?done=deleted"
    assert "The family is forgotten." in browser.get("/?done=deleted").text
    assert front.client.get(f"/families/{family.id}").status_code == 404
    front.catalog.set_student_state(queued["student"]["key"], StudentState.DISTILLING)
    front.catalog.student_progress(queued["student"]["key"], {"step": 3, "steps": 8})
    asked = browser.get(f"/families/{queued['id']}/delete").text
    assert "which is stopped at step 3 of 8" in asked
    assert browser.get("/families/nothing/delete", headers=HTML).status_code == 404
