"""Keys of the catalog at a front end: they come, they end, and with them what was begun by them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from boomerang.catalog.tables import KeyRow
from tests.app.conftest import Front, problem
from tests.app.visitor import Visitor
from tests.support.databases import BOTH, empty_database

pytestmark = pytest.mark.slow("a front end each, and keys that it has to hear of")

HEARD = 20.0
"""Seconds within which a front end must know what the catalog knows; it promises five."""


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    return {"BOOMERANG_DATABASE_URL": empty_database(request, tmp_path)}


@pytest.fixture
def visitor() -> Iterator[Callable[[Front], Visitor]]:
    made: list[Visitor] = []

    def make(front: Front) -> Visitor:
        made.append(Visitor(front.base))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def status(front: Front, key: str | None, path: str = "/models", method: str = "GET") -> int:
    headers = {} if key is None else bearer(key)
    return httpx.request(method, front.base + path, headers=headers, trust_env=False).status_code


def until(wanted: int, ask: Callable[[], int]) -> float:
    """Ask until that is the answer; the seconds that it took."""
    began = time.monotonic()
    while (found := ask()) != wanted:
        assert time.monotonic() - began < HEARD, found
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_keys_come_and_go_while_a_front_end_runs(front: Front) -> None:
    assert status(front, None) == 200
    new = {"name": "ci", "scope": "read", "quotas": {"requests_burst": 0}}
    made = front.client.post("/keys", json=new)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key, id_ = made.json()["key"], made.json()["id"]
    # From the first one on, on loopback too.
    assert status(front, None) == 401
    assert status(front, key) == 200
    assert status(front, key[:-1]) == status(front, f"bmr_{id_}_") == status(front, id_) == 401
    assert status(front, key, "/keys") == status(front, key, "/audit") == 403
    until(200, lambda: 200 if front.catalog.key("ci").used else 0)
    # Made and revoked by another process, as a command or another front end would.
    _, admin = front.catalog.create_key("root", "admin")
    until(200, lambda: status(front, admin, "/keys"))
    listed = front.client.get("/keys", headers=bearer(admin))
    assert [one["name"] for one in listed.json()["keys"]] == ["ci", "root"]
    for secret in (key, admin):
        assert secret not in listed.text
        assert secret not in front.log.read_text()
    front.catalog.revoke_key("ci")
    until(401, lambda: status(front, key))
    over, short = front.catalog.create_key("short", "read", lasts=3600)
    until(200, lambda: status(front, short))
    with front.catalog.db.write() as session:
        session.get_one(KeyRow, over.id).expires = session.now()
    until(401, lambda: status(front, short))
    # What one front end is told it knows at once.
    assert status(front, admin, "/keys/root", "DELETE") == 200
    assert status(front, admin, "/keys") == 401
    # And nobody is let in because there is none left.
    assert status(front, None) == 401


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_what_a_session_opened_ends_with_it(
    front: Front, visitor: Callable[[Front], Visitor]
) -> None:
    key, written = front.catalog.create_key("alice", "build")
    until(401, lambda: status(front, None))
    browser = visitor(front)
    assert browser.log_in(written).status_code == 303
    assert browser.get("/").status_code == 200
    [cookie] = [one for one in browser.client.cookies.jar if one.name == "boomerang_session"]
    assert written not in str(cookie.value)
    stolen = {"cookies": {cookie.name: str(cookie.value)}, "trust_env": False}
    assert httpx.get(f"{front.base}/models", **stolen).status_code == 200  # type: ignore[arg-type]
    with httpx.stream("GET", f"{front.base}/events", timeout=30, **stolen) as events:  # type: ignore[arg-type]
        assert events.status_code == 200
        began = time.monotonic()
        assert browser.send("/logout", on="/").status_code == 303
        assert httpx.get(f"{front.base}/models", **stolen).status_code == 401  # type: ignore[arg-type]
        for _ in events.iter_lines():
            pass
        assert time.monotonic() - began < HEARD
    # A session that is begun anew ends with its key, and so does a stream of the key itself.
    assert browser.log_in(written).status_code == 303
    url = f"{front.base}/events"
    with httpx.stream("GET", url, headers=bearer(written), timeout=30, trust_env=False) as events:
        assert events.status_code == 200
        front.catalog.revoke_key(key.id)
        for _ in events.iter_lines():
            pass
    until(303, lambda: browser.get("/").status_code)
    assert browser.log_in(written).status_code == 401


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_who_owns_what_is_shown_to_its_owners(
    make_front: Callable[..., Front], visitor: Callable[[Front], Visitor]
) -> None:
    front = make_front(BOOMERANG_API_KEYS="boss")
    keys = {name: front.catalog.create_key(name, "build")[1] for name in ("a", "b")}
    until(200, lambda: status(front, keys["b"]))
    asked = {"teacher": "teacher", "data": "texts", "order": "last"}

    def ask(key: str, method: str, path: str, **sent: object) -> httpx.Response:
        headers = bearer(keys.get(key, key))
        return front.client.request(method, path, headers=headers, **sent)  # type: ignore[arg-type]

    made = ask("a", "POST", "/families", json=asked).json()
    family, student = made["id"], made["student"]["key"]
    assert (made["owners"], made["yours"]) == (["a"], True)
    other = ask("b", "POST", "/families", json=asked | {"order": "first"}).json()
    assert other["student"]["key"] == student
    seen = ask("b", "GET", f"/families/{family}").json()
    assert (seen["owners"], seen["yours"]) == (None, False)
    assert ask("boss", "GET", f"/families/{family}").json()["owners"] == ["a"]
    for method, path in (("POST", "cancel"), ("POST", "retry"), ("POST", "rebuild"),
                         ("GET", "delete"), ("DELETE", "")):  # fmt: skip
        refused = ask("b", method, f"/families/{family}/{path}".rstrip("/"))
        assert problem(refused, 403, "not-yours")["value"] == family
    mine = ask("b", "GET", "/families?mine=true").json()
    assert [one["id"] for one in mine["families"]] == [other["id"]]
    assert mine["counts"]["queued"] == 1
    # What is offered is what may be done.
    browser = visitor(front)
    browser.log_in(keys["b"])
    assert "/cancel" not in browser.get(f"/families/{family}").text
    assert "/delete" not in browser.get(f"/families/{family}").text
    assert "/cancel" in browser.get(f"/families/{other['id']}").text
    assert browser.get("/").text.count(">yours</span>") == 1
    assert browser.get("/?mine=true").text.count('class="card family"') == 1
    # A student is stopped when nobody waits for it any more.
    assert ask("a", "POST", f"/families/{family}/cancel").status_code == 202
    assert front.catalog.student(student).state == "queued"
    assert browser.send(f"/forms/families/{other['id']}/cancel", f"/families/{other['id']}")
    assert front.catalog.student(student).state == "cancelled"
    # One family of two: whoever leaves it leaves it to the other.
    again = ask("b", "POST", "/families", json=asked).json()
    assert (again["id"], again["owners"]) == (family, ["a", "b"])
    assert "Let go of" in browser.get(f"/families/{family}/delete").text
    left = ask("a", "POST", f"/families/{family}/cancel").json()
    assert (left["owners"], left["student"]["state"]) == (None, "queued")
    assert ask("b", "DELETE", f"/families/{family}").status_code == 204
    assert ask("boss", "GET", f"/families/{family}").status_code == 404
    every = ask("boss", "POST", "/rebuilds").json()["rebuilds"]
    assert [one["family"] for one in every] == [other["id"]]
    assert ask("a", "POST", "/rebuilds").json()["rebuilds"] == []


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_what_was_done_is_written_down_and_no_key_with_it(
    make_front: Callable[..., Front], visitor: Callable[[Front], Visitor]
) -> None:
    front = make_front(BOOMERANG_API_KEYS="boss,read:looker")
    asked = {"teacher": "teacher", "data": "texts", "order": "last"}
    traced = {"X-Request-ID": "told-by-the-client"}
    family = front.client.post("/families", json=asked, headers=traced).json()["id"]
    assert status(front, "looker", f"/families/{family}/cancel", "POST") == 403
    assert status(front, "boss", "/families") == 200
    browser = visitor(front)
    assert browser.log_in("boss").status_code == 303
    browser.send(f"/forms/families/{family}/cancel", f"/families/{family}")
    browser.send("/logout", on="/")
    made = front.client.post("/keys", json={"name": "ci", "scope": "read"}).json()
    # Who gives the key itself for its name gets no key written down.
    assert status(front, "boss", f"/keys/{made['key']}", "DELETE") == 404
    assert status(front, "boss", "/keys/ci", "DELETE") == 200
    for n in range(40):
        status(front, f"wrong-{n}")
    stranger = visitor(front)
    stranger.log_in("no-key")
    # What nobody in particular sends, and is not let in with, is no row.
    assert stranger.log_in("").status_code == 422
    assert stranger.send("/logout").status_code == 303
    assert stranger.client.post("/login", data={"csrf": "x"}).status_code == 403
    away = {"Origin": "https://evil.example"}
    assert stranger.client.post("/families", json=asked, headers=away).status_code == 403
    told = front.client.get("/audit?limit=5").json()
    shown = told["deeds"] + front.client.get(told["next"]).json()["deeds"]
    assert [(one["action"], one["subject"], one["status"]) for one in reversed(shown)] == [
        ("families.create", family, 202), ("families.cancel", family, 403), ("login", None, 303),
        ("families.cancel", family, 303), ("logout", None, 303), ("keys.create", made["id"], 201),
        ("keys.revoke", None, 404), ("keys.revoke", "ci", 200),
    ]  # fmt: skip
    first, refused, *_ = reversed(shown)
    assert first["trace"] == "told-by-the-client"
    assert first["name"].startswith("environment:")
    assert first["key"] != refused["key"]
    assert {one["key"] for one in shown} == {first["key"], refused["key"]}
    assert front.client.get("/audit?key=nobody").json() == {"deeds": [], "next": None}
    # A flood of wrong keys is a row for an address.
    front.stop()
    counted = Counter[tuple[str, str]]()
    for one in front.catalog.deeds(limit=10):
        if one.action.endswith(".refused") and one.detail is not None:
            counted[one.action, one.detail["address"]] += one.detail["count"]
    assert counted == {("key.refused", "127.0.0.1"): 40, ("login.refused", "127.0.0.1"): 1}
    kept = str(front.catalog.deeds(limit=100))
    assert not any(secret in kept for secret in ("boss", "looker", "wrong-", made["key"], "no-key"))


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_wrong_keys_are_told_to_wait_and_right_ones_are_heard(
    make_front: Callable[..., Front],
) -> None:
    front = make_front(BOOMERANG_API_KEYS="read:right")
    found = [httpx.get(f"{front.base}/models", headers=bearer(f"wrong-{n}"), trust_env=False)
             for n in range(60)]  # fmt: skip
    refused = [answer.status_code for answer in found]
    assert set(refused) == {401, 429}
    assert refused[:30] == [401] * 30
    slow = next(answer for answer in found if answer.status_code == 429)
    assert problem(slow, 429, "too-many")
    assert 0 < int(slow.headers["retry-after"]) <= 60
    assert status(front, "right") == 200
    assert status(front, None) == 401


@pytest.mark.long("a front end each, and keys that it has to hear of")
def test_an_open_address_is_served_to_keys_of_the_catalog_alone(front: Front) -> None:
    front.stop()
    front.environment["BOOMERANG_HOST"] = "0.0.0.0"
    with pytest.raises(AssertionError, match="boomerang keys create"):
        front.start()
    _, written = front.catalog.create_key("first", "read")
    front.start()
    assert (status(front, written), status(front, None)) == (200, 401)
    front.catalog.revoke_key("first")
    until(401, lambda: status(front, written))
    assert status(front, None) == 401


def test_a_front_end_older_than_its_catalog_says_so(front: Front) -> None:
    """Nothing of it can be written down either, and that is no fault of the service."""
    with front.catalog.db.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    problem(
        front.client.post("/keys", json={"name": "ci", "scope": "read"}), 503, "catalog-changed"
    )
    assert front.client.get("/families").json() == {"families": []}
