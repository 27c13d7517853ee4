"""A browser logs in, stays logged in as long as its key is one, and logs out."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.security.guesses import FREE, SECONDS, Guesses
from app.security.sessions import SECONDS as LASTS
from app.security.sessions import Sessions
from app.security.visitors import next_page
from boomerang.service.settings import Settings
from tests.app.conftest import Front, problem
from tests.app.visitor import HTML, Visitor

KEYS = "publish:long-key,read:reader"
SECRET = "s" * 32


@pytest.fixture
def visitors() -> Iterator[Callable[..., Visitor]]:
    made: list[Visitor] = []

    def visitor(front: Front, **headers: str) -> Visitor:
        made.append(Visitor(front.base, **headers))
        return made[-1]

    yield visitor
    for one in made:
        one.client.close()


@pytest.mark.slow("a front end with keys")
def test_no_cache_on_the_way_keeps_what_a_session_was_given(
    make_front: Callable[..., Front], visitors: Callable[..., Visitor]
) -> None:
    """What is asked for with Authorization no shared cache keeps; of cookies it knows nothing."""
    front = make_front(BOOMERANG_API_KEYS="build:maker,read:reader")
    family = front.ready()
    size = front.catalog.members(family.id)[0].size
    model = front.client.get(f"/api/models/boomerang/teacher-{size}").json()
    pinned = f"/boomerang/teacher-{size}/resolve/{model['sha']}/config.json"
    assert "immutable" in front.client.get(pinned).headers["cache-control"]
    browser = visitors(front)
    browser.log_in("reader")
    for path in (pinned, f"/models/{size}/config.json?family={family.id}"):
        answer = browser.get(path)
        assert answer.status_code == 200, answer.text
        kept = answer.headers["cache-control"]
        assert "private" in kept, path
        assert "no-cache" in kept, path
        assert "max-age" not in kept, path
    for path in ("/families", "/models", "/events?after=0", f"/families/{family.id}/log"):
        with browser.client.stream("GET", path, headers={"Accept": "application/json"}) as answer:
            assert answer.status_code == 200
            kept = answer.headers.get("cache-control", "")
            assert "private" in kept or "no-store" in kept, path
    assert (
        "immutable"
        in browser.get(re.findall(r'"(/static/[^"]+css)"', browser.get("/").text)[0]).headers[
            "cache-control"
        ]
    )


@pytest.mark.slow("a front end with keys, restarted with others")
def test_a_browser_logs_in_and_out(
    make_front: Callable[..., Front], visitors: Callable[..., Visitor]
) -> None:
    front = make_front(BOOMERANG_API_KEYS=KEYS, BOOMERANG_SECRET=SECRET)
    browser = visitors(front)
    asked = browser.get("/?q=a%20b&state=ready")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=%2F%3Fq%3Da%2520b%26state%3Dready"
    assert "www-authenticate" not in asked.headers
    page = browser.get(asked.headers["location"])
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert 'value="/?q=a%20b&amp;state=ready"' in page.text
    assert "Families" not in page.text
    wrong = browser.log_in("no-key")
    assert wrong.status_code == 401
    assert "knows no such key" in wrong.text
    assert "no-key" not in wrong.text
    assert browser.log_in("").status_code == 422
    right = browser.log_in("long-key", "/?q=a%20b")
    assert (right.status_code, right.headers["location"]) == (303, "/?q=a%20b")
    [kept] = [one for one in right.headers.get_list("set-cookie") if "boomerang_session" in one]
    for attribute in ("HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={LASTS}"):
        assert attribute in kept
    assert "Secure" not in kept
    assert "long-key" not in kept
    home = browser.get("/")
    assert home.status_code == 200
    assert "Log out" in home.text
    assert browser.get("/login?next=/models").headers["location"] == "/models"
    # A restart ends nothing, as nothing is kept; so it is with a front end beside this one.
    front.stop()
    front.start()
    assert browser.get("/").status_code == 200
    # The key is gone, and with it all that was begun with it.
    front.stop()
    front.environment["BOOMERANG_API_KEYS"] = "publish:other-key,read:reader"
    front.start()
    assert browser.get("/").status_code == 303
    assert browser.log_in("reader").status_code == 303
    assert browser.get("/").status_code == 200
    out = browser.send("/logout", on="/")
    assert out.headers["location"] == "/login?done=out"
    assert "You are logged out." in browser.get(out.headers["location"]).text
    assert browser.get("/").status_code == 303


@pytest.mark.slow("a front end that believes that it is behind TLS")
def test_behind_tls_the_cookie_is_this_hosts_alone(
    make_front: Callable[..., Front], visitors: Callable[..., Visitor]
) -> None:
    front = make_front(BOOMERANG_API_KEYS=KEYS, BOOMERANG_PUBLIC_URL="https://models.example")
    for headers in ({"Host": "models.example"}, {"X-Forwarded-Proto": "https"}):
        browser = visitors(front, **headers)
        host = headers.get("Host", f"127.0.0.1:{front.port}")
        page = browser.get("/login")
        [form] = page.headers.get_list("set-cookie")
        assert form.startswith("__Host-boomerang_form=")
        token = re.search(r'value="([0-9a-f]{64})"', page.text)
        assert token is not None
        cookie = form.partition(";")[0]
        sent = browser.client.post(
            "/login", data={"csrf": token[1], "key": "reader"},
            headers={"Cookie": cookie, "Origin": f"https://{host}"},
        )  # fmt: skip
        assert sent.status_code == 303
        [session] = sent.headers.get_list("set-cookie")
        assert session.startswith("__Host-boomerang_session=")
        assert "; Secure" in session
        assert "Domain" not in session
        told = {"Cookie": session.partition(";")[0]}
        assert browser.get("/", headers=told).status_code == 200
        # One that a plain page could have set is none.
        plain = {"Cookie": told["Cookie"].removeprefix("__Host-")}
        assert browser.get("/", headers=plain).status_code == 303


@pytest.mark.slow("a front end with keys")
def test_programs_are_not_sent_to_log_in(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS=KEYS)
    ask: dict[str, Any] = {"trust_env": False}
    for headers in (
        {},
        {"Accept": "application/json"},
        {"Accept": "*/*"},
        HTML | {"HX-Request": "true"},
    ):
        problem(httpx.get(f"{front.base}/", headers=headers, **ask), 401, "key")
    problem(httpx.get(f"{front.base}/?part=cards", headers=HTML, **ask), 401, "key")
    # A session is for pages of ours: what comes from none needs the key itself.
    cookie = {"boomerang_session": str(Sessions(_settings(KEYS)).begin("long-key"))}
    assert httpx.get(f"{front.base}/models", cookies=cookie, **ask).status_code == 200
    url = f"{front.base}/families/x/cancel"
    problem(httpx.post(url, cookies=cookie, **ask), 403, "origin")
    there = {"Sec-Fetch-Site": "same-origin"}
    problem(httpx.post(url, cookies=cookie, headers=there, **ask), 404, "family-not-found")
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        problem(httpx.post(url, cookies=cookie, headers=headers, **ask), 403, "origin")


@pytest.mark.slow("a front end without keys")
def test_on_loopback_without_keys_nobody_logs_in(
    shared: Front, visitors: Callable[..., Visitor]
) -> None:
    browser = visitors(shared)
    home = browser.get("/")
    assert home.status_code == 200
    assert "Log out" not in home.text
    assert browser.get("/login?next=/models").headers["location"] == "/models"


def _settings(keys: str, secret: str = "") -> Settings:
    return Settings(api_keys=keys, secret=secret, database_url="sqlite://")  # type: ignore[arg-type]


def test_a_session_is_of_its_key_its_secret_and_its_time() -> None:
    sessions = Sessions(_settings(KEYS, SECRET))
    cookie = sessions.begin("long-key")
    assert cookie is not None
    found = sessions.read(cookie)
    assert found is not None
    assert found.held == 2
    assert "long-key" not in cookie
    assert sessions.begin("long-key") != cookie
    assert sessions.begin("wrong") is sessions.begin("") is None
    # Whose key may do less by now does less.
    less = Sessions(_settings("read:long-key", SECRET)).read(cookie)
    assert less is not None
    assert less.held == 0
    for others in (_settings("publish:other", SECRET), _settings(KEYS, "t" * 32),
                   _settings(KEYS), _settings("", SECRET)):  # fmt: skip
        assert Sessions(others).read(cookie) is None
    later = Sessions(_settings(KEYS, SECRET), clock=lambda: time.time() + LASTS + 1)
    assert later.read(cookie) is None
    expires, nonce, seal = cookie.split(".")
    wrong, other = ("0" if seal[0] != "0" else "1"), ("A" if nonce[0] != "A" else "B")
    forged = [f"{int(expires) + 1}.{nonce}.{seal}", f"{expires}.{other}{nonce[1:]}.{seal}",
              f"{expires}.{nonce}.{wrong}{seal[1:]}", f"{expires}.{nonce}.", f"{expires}.{nonce}",
              f"{cookie}.{seal}", f" {cookie}", cookie.upper(), "", "..", "é",
              "9" * 9999]  # fmt: skip
    for one in forged:
        assert sessions.read(one) is None, one


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("/families/0f3c", "/families/0f3c"),
        ("/?q=a%20b", "/?q=a%20b"),
        ("/models/2.9B?family=x", "/models/2.9B?family=x"),
        *((bad, "/") for bad in (
            None, "", "families", "//evil.example", "/\\evil.example", "\\\\evil.example",
            "https://evil.example", "javascript:alert(1)", "/\t/evil.example",
            "/a\r\nSet-Cookie: x",
            "/ /evil.example", " //evil.example", "/login", "/login?next=/login", "/logout",
            "/forms/families", "/a\x00", "/" + "a" * 2000, "/a\\b",
        )),
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(asked: str | None, found: str) -> None:
    assert next_page(asked) == found


def test_keys_are_guessed_slowly_and_little_is_remembered() -> None:
    now = 0.0
    guesses = Guesses(clock=lambda: now)
    for _ in range(FREE):
        assert guesses.wait("10.0.0.1") == 0
        guesses.wrong("10.0.0.1")
    assert guesses.wait("10.0.0.1") == SECONDS
    assert guesses.wait("10.0.0.2") == 0
    now = SECONDS - 0.5
    assert guesses.wait("10.0.0.1") == 1
    now = SECONDS
    assert guesses.wait("10.0.0.1") == 0
    guesses.wrong("10.0.0.1")
    assert guesses.wait("10.0.0.1") == SECONDS
    guesses.right("10.0.0.1")
    assert guesses.wait("10.0.0.1") == 0
    for _ in range(FREE):
        guesses.wrong("2001:db8:1:2::1")
    assert guesses.wait("2001:db8:1:2:ffff::9") == SECONDS
    assert guesses.wait("2001:db8:1:3::1") == 0
    for number in range(5000):
        guesses.wrong(f"10.{number // 256}.{number % 256}.7")
    assert len(guesses._over) == 4096


@pytest.mark.slow("a front end with keys")
def test_too_many_keys_are_told_to_wait(
    make_front: Callable[..., Front], visitors: Callable[..., Visitor]
) -> None:
    front = make_front(BOOMERANG_API_KEYS=KEYS)
    browser = visitors(front)
    assert [browser.log_in(f"guess{n}").status_code for n in range(FREE)] == [401] * FREE
    for key in ("guess", "long-key"):
        slow = browser.log_in(key)
        assert slow.status_code == 429
        assert 0 < int(slow.headers["retry-after"]) <= SECONDS
        assert "Wait" in slow.text
    # Programs go on.
    assert front.client.get("/models").status_code == 200
