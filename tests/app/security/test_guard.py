"""Who may ask what, and what no answer ever tells."""

import hashlib
import http.client
import json
import re
import socket
from collections.abc import Callable

import httpx
import pytest

from boomerang.catalog.records.states import Fact, StudentState
from tests.app.conftest import Front, problem
from tests.local_hub.fixture import OWNER, LocalHub
from tests.support.models import Duo

pytestmark = pytest.mark.slow("a front end is started for each set of keys and addresses")

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "169.254.1.1", "[::2]:1"]
)
def test_a_name_that_is_bound_to_this_address_is_refused(shared: Front, host: str) -> None:
    for method, path in (("GET", "/"), ("GET", "/models"), ("POST", "/families"),
                         ("GET", "/healthz"), ("GET", "/static/js/live.js")):  # fmt: skip
        answer = shared.client.request(method, path, headers={"Host": host})
        assert problem(answer, 421, "host")["value"] == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:8000", "[::1]"])
def test_names_of_this_machine_are_served(shared: Front, host: str) -> None:
    assert shared.client.get("/healthz", headers={"Host": host}).text == "ok\n"


def test_a_public_name_is_served(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_PUBLIC_URL="https://models.example/")
    answer = front.client.get("/", headers={"Host": "models.example"})
    assert "https://models.example/families" in answer.text


def test_pages_of_other_sites_change_nothing(shared: Front) -> None:
    body = json.dumps({"teacher": "teacher", "data": "texts"})
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{shared.port + 1}"):
        headers = JSON | {"Origin": origin}
        problem(shared.client.post("/families", content=body, headers=headers), 403, "origin")
        answer = shared.client.delete("/families/x", headers={"Origin": origin})
        problem(answer, 403, "origin")
    forms = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
    for kind in forms:
        headers = {"Content-Type": kind}
        answer = shared.client.post("/families", content=body, headers=headers)
        problem(answer, 415, "content-type")
        # Without a length too.
        parts = iter([body.encode()])
        answer = shared.client.post("/families", content=parts, headers=headers)
        problem(answer, 415, "content-type")
    assert shared.catalog.families() == ()
    assert shared.client.get("/", headers={"Origin": "https://evil.example"}).status_code == 200
    assert "access-control-allow-origin" not in shared.client.get("/models").headers


def test_its_own_page_may(front: Front) -> None:
    answer = front.client.post(
        "/families", json={"teacher": "teacher", "data": "texts"}, headers={"Origin": front.base}
    )
    assert answer.status_code == 202


def test_keys_and_what_they_allow(make_front: Callable[..., Front]) -> None:
    digest = hashlib.sha256(b"builder").hexdigest()
    keys = f"all-key,read:reader,build:sha256${digest},publish:publisher"
    front = make_front(BOOMERANG_API_KEYS=keys)
    asked = {"teacher": "teacher", "student": "student"}
    public = {**asked, "publish": {"namespace": "me"}}

    def status(key: str | None, method: str, path: str, body: object = None) -> int:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        url = front.base + path
        return httpx.request(
            method, url, json=body, headers=headers, trust_env=False, timeout=30
        ).status_code

    for path in ("/healthz", "/docs", "/openapi.json", "/static/css/base.css"):
        assert status(None, "GET", path) == 200
    for path in ("/", "/models", "/families", "/events", "/metrics", "/api/models/boomerang/x"):
        assert status(None, "GET", path) == 401
        assert status("wrong", "GET", path) == 401
        assert status(f"sha256${digest}", "GET", path) == 401
        assert status(digest, "GET", path) == 401
    assert status(None, "POST", "/families", asked) == 401
    assert status("reader", "GET", "/models") == 200
    assert status("reader", "POST", "/families", asked) == 403
    assert status("reader", "DELETE", "/families/x") == 403
    assert status("builder", "POST", "/families", asked) == 202
    assert status("builder", "POST", "/families", public) == 403
    assert status("publisher", "POST", "/families", public) == 202
    assert status("all-key", "POST", "/families", public) == 202
    # A webhook has its own secret and needs no key.
    assert status(None, "POST", "/webhooks/hub", {"repo": {"type": "model", "name": "a/b"}}) == 401
    answer = httpx.get(f"{front.base}/models", trust_env=False)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert problem(answer, 401, "key")["detail"]
    # The Hub's client sends its token the same way: a form that reads needs to read only.
    form = httpx.post(f"{front.base}/api/models/a/b/paths-info/main", data={"paths": "x"},
                      headers={"Authorization": "Bearer reader"}, trust_env=False)  # fmt: skip
    assert form.status_code == 404
    cookie = httpx.get(f"{front.base}/", cookies={"boomerang_key": "reader"}, trust_env=False)
    assert cookie.status_code == 401


def test_no_spelling_of_an_address_makes_it_an_open_one(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="key", BOOMERANG_HOST="0.0.0.0")
    spelled = ("/families", "/login%3F/x/resolve/main/a", "/docs%23/x/resolve/main/a",
               "/static/../families", "/static%2F..%2Ffamilies", "//healthz")  # fmt: skip
    for host in ("x", "x/healthz?", "x/healthz#", "x/static/", "x@127.0.0.1/login?"):
        for path in spelled:
            # What is below /static/ is a file there or nothing.
            expected = 404 if path.startswith("/static") else 401
            head = f"GET {path} HTTP/1.1\nHost: {host}"
            assert said(front, head)[0] == expected, (host, path)
    for path in ("/families/a%3Fb/cancel", "/families/a%23/cancel", "/families/x%2Fcancel"):
        answer = front.client.post(path, headers={"Authorization": "Bearer no"})
        assert answer.status_code == 401


def test_no_spelling_of_an_address_takes_less_than_its_scope(
    make_front: Callable[..., Front],
) -> None:
    front = make_front(BOOMERANG_API_KEYS="publish:publisher,read:reader,build:builder")
    family = front.ready().id
    for key, method, path in (
        ("reader", "GET", "/plan?teacher=teacher"), ("reader", "GET", "/teachers?q=te"),
        ("builder", "POST", f"/families/{family}/cancel"),
        ("builder", "POST", f"/forms/families/{family}/delete"),
        ("builder", "POST", "/webhooks/hub"),
    ):  # fmt: skip
        address, mark, query = path.partition("?")
        for end in ("%0A", "%0a", "%0A/", "/", "%0D", "%00"):
            answer = front.client.request(
                method, f"{address}{end}{mark}{query}", follow_redirects=True,
                headers={"Authorization": f"Bearer {key}"},
            )  # fmt: skip
            assert answer.status_code in (401, 403, 404), (path, end, answer.text)
    assert front.catalog.family(family).id == family


def everything(front: Front, family: str) -> dict[str, str]:
    """What every address answers."""
    members = front.catalog.members(family)
    size = members[0].size
    paths = [
        "/", "/models", "/families", f"/families/{family}", f"/models/{size}?family={family}",
        f"/models/{size}/boomerang.json?family={family}",
        f"/models/{size}/README.md?family={family}", "/metrics", "/readyz", "/docs",
        "/openapi.json", f"/api/models/boomerang/teacher-{size}", "/nowhere",
        f"/api/models/boomerang/teacher-{size}/tree/main",
    ]  # fmt: skip
    found = {}
    for path in paths:
        for accept in ("application/json", "text/html"):
            if "/models/" in path and "boomerang" not in path and accept != "application/json":
                accept = "text/html"
            found[f"{path} {accept}"] = front.client.get(path, headers={"Accept": accept}).text
    with front.client.stream("GET", f"/families/{family}/events") as events:
        text = ""
        for chunk in events.iter_text():
            text += chunk
            if "the end" in text:
                break
    found["events"] = text
    return found


def test_no_secret_and_no_folder_in_any_answer(make_front: Callable[..., Front]) -> None:
    secrets = {
        "HF_TOKEN": "hf_do-not-tell",
        "BOOMERANG_API_KEYS": "api-do-not-tell",
        "BOOMERANG_WEBHOOK_SECRET": "hook-do-not-tell",
    }
    front = make_front(**secrets)
    family = front.ready(data="texts", publish={"namespace": "me"})
    queued = front.queued()
    # Whatever went wrong, it says so with the file that it went wrong with.
    here = f"[Errno 28] No space left on device: '{front.home}/students/x/model.safetensors'"
    front.catalog.set_fact(family.id, 0, "built", Fact.FAILED, here)
    front.catalog.set_student_state(queued["student"]["key"], StudentState.FAILED, here)
    front.catalog.set_measuring(family.id, Fact.FAILED, f"no text in {front.models}/texts")
    front.catalog.set_request(
        front.catalog.requests(family.id)[0].id, Fact.FAILED, f"{here}: the end"
    )
    found = everything(front, family.id)
    found["failed"] = front.client.get(f"/families/{queued['id']}").text
    for body in ({"teacher": "no/such/one", "data": "texts"},
                 {"teacher": "teacher", "data": "none"},
                 {"teacher": "texts", "data": "texts"}, {"teacher": "teacher/config.json"},
                 {"teacher": "teacher", "student": "texts"},
                 {"teacher": ".", "data": "texts"},
                 {"teacher": "teacher", "data": "teacher/config.json"}):  # fmt: skip
        answer = front.post(**body)
        assert answer.status_code != 202
        assert answer.headers["content-type"] == "application/problem+json"
        found[json.dumps(body)] = answer.text
    where = (str(front.home.parent), str(front.models), str(front.home))
    for name, text in found.items():
        for never in (*where, *secrets.values()):
            assert never not in text, name
    assert "students/x/model.safetensors" in found["failed"]
    log = front.log.read_text()
    assert all(secret not in log for secret in secrets.values())


def test_pages_may_load_nothing_from_elsewhere(shared: Front) -> None:
    policy = shared.client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


def test_an_error_leads_back_to_pages_of_ours_alone(shared: Front) -> None:
    for came, back in (
        ("/jobs?limit=2", 'href="/jobs?limit=2">Back'), ("//evil.example/x", None),
        ("/%5Cevil.example", 'href="/%5Cevil.example">Back'), ("/\\evil.example", None),
    ):  # fmt: skip
        headers = {"Accept": "text/html", "Referer": shared.base + came}
        answer = shared.client.get("/families/nothing", headers=headers)
        assert answer.status_code == 404
        assert (back or "All families") in answer.text
        assert back is not None or ">Back<" not in answer.text, came


def test_the_interface_is_described_without_any_other_host(shared: Front) -> None:
    answer = shared.client.get("/docs")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    head, _, body = answer.text.partition("<body>")
    assert '<a href="/">' in body
    assert '<a href="/openapi.json">' in body
    parts = re.findall(r'(?:src|href)="([^"]*)"', head)
    assert len(parts) == 4
    for part in parts:
        assert part.startswith("/static/")
        assert shared.client.get(part).status_code == 200
    assert shared.client.get("/redoc").status_code == 404
    said = shared.client.get("/docs", headers={"Accept": "application/json"})
    assert said.json() == shared.client.get("/openapi.json").json()


def test_every_answer_is_what_it_says(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="key")
    family = front.ready()
    member = front.catalog.members(family.id)[0]
    size, repo = member.size, f"boomerang/teacher-{member.size}"
    paths = ["/", "/models", f"/models/{size}", f"/models/{size}/config.json", "/models/1Q",
             "/docs", "/static/css/base.css", "/nowhere", "/healthz", f"/api/models/{repo}",
             "/openapi.json", f"/{repo}/resolve/main/config.json", "/api/datasets/a/b"]  # fmt: skip
    for path in paths:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Accept": "text/html"}):
            answer = front.client.get(path, headers=headers)
            assert answer.headers.get_list("x-content-type-options") == ["nosniff"], path


def said(front: Front, head: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of what is answered to a request that stays open."""
    with socket.create_connection(("127.0.0.1", front.port), 30) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


HEAD = "POST {} HTTP/1.1\nHost: 127.0.0.1\nContent-Type: {}\n{}"
LENGTH = "Content-Length: {}"


@pytest.mark.parametrize(
    ("path", "kind", "most"),
    [
        ("/families", "application/json", 1 << 20),
        ("/families/x/rebuild", "application/json", 1 << 20),
        ("/webhooks/hub", "application/json", 1 << 20),
        ("/api/models/a/b/paths-info/main", "application/x-www-form-urlencoded", 4 << 20),
        ("/api/nothing", "application/json", 1 << 20),
    ],
)
def test_bodies_are_bounded(hooked: Front, path: str, kind: str, most: int) -> None:
    secret = "X-Webhook-Secret: s3cret\n"
    for length in (most + 1, 10**15):
        # Not a byte of it is sent, and none is waited for.
        status, body = said(hooked, HEAD.format(path, kind, secret + LENGTH.format(length)))
        assert status == 413
        assert json.loads(body)["value"] == most
    chunk = b"%x\r\n%s\r\n" % (most + 1, b" " * (most + 1))
    head = HEAD.format(path, kind, secret + "Transfer-Encoding: chunked")
    if path != "/api/nothing":  # which reads none
        status, body = said(hooked, head, chunk)
        assert status == 413
        assert json.loads(body)["value"] == most
    # As long as it may be.
    status, _ = said(hooked, HEAD.format(path, kind, secret + LENGTH.format(most)), b" " * most)
    assert status not in (413, 500)


@pytest.fixture
def hooked(make_front: Callable[..., Front]) -> Front:
    return make_front(BOOMERANG_WEBHOOK_SECRET="s3cret")


def test_a_webhooks_secret_comes_before_its_body(hooked: Front) -> None:
    for secret in ("", "X-Webhook-Secret: wrong\n", "X-Webhook-Secret: \n"):
        for length in (10, 10**15):
            head = HEAD.format("/webhooks/hub", "application/json", secret + LENGTH.format(length))
            assert said(hooked, head)[0] == 401


def test_what_a_family_loses_takes_owning_it(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="all,read:reader,build:builder,publish:publisher")
    plain, public = front.ready(), front.ready(order="first", publish={"namespace": "me"})

    def status(key: str, method: str, path: str, body: object = None) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return front.client.request(method, path, json=body, headers=headers).status_code

    force = {"force": True}
    for key in ("reader", "builder", "publisher"):
        for path in ("cancel", "retry", "rebuild"):
            assert status(key, "POST", f"/families/{plain.id}/{path}") == 403
        assert status(key, "DELETE", f"/families/{plain.id}") == 403
    asked = {"teacher": "teacher", "student": "student", "order": "first"}
    assert status("builder", "POST", "/families", asked) == 202
    # It is theirs by now, but to publish the next generation takes more than to build it.
    assert status("builder", "POST", f"/families/{public.id}/rebuild", force) == 403
    assert len(front.catalog.families()) == 2
    assert status("builder", "POST", f"/families/{public.id}/rebuild") == 202
    assert status("all", "POST", f"/families/{public.id}/rebuild", force) == 202
    assert status("all", "POST", f"/families/{plain.id}/cancel") == 202
    assert status("all", "DELETE", f"/families/{plain.id}") == 204


def test_a_browser_may_send_its_key_as_a_password(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="read:read:er,build:builder")
    page = {"Accept": "text/html"}
    asked = httpx.get(f"{front.base}/", headers=page, auth=("anyone", "no"), trust_env=False)
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert "<h1>A key is needed</h1>" in asked.text
    for key, status in (("builder", 200), ("read:er", 200), ("er", 401), ("", 401)):
        answer = httpx.get(f"{front.base}/", headers=page, auth=("anyone", key), trust_env=False)
        assert answer.status_code == status, key
    for wrong in ("Basic", "Basic !", "Basic " + "é", "basic 4pyT"):
        headers = {"Authorization": wrong.encode()}
        assert httpx.get(f"{front.base}/", headers=headers, trust_env=False).status_code == 401


@pytest.mark.long("a front end is started for each set of keys and addresses")
def test_members_of_a_gated_teacher_are_not_for_keys_that_only_read(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    hub.add_repo("org/Gated", originals.teacher_folder, gated=True)
    front = make_front(HF_ENDPOINT=hub.url, HF_TOKEN=OWNER,
                       BOOMERANG_API_KEYS="publish:owner,build:builder,read:reader")  # fmt: skip
    front.settings = front.settings.model_copy(update={"hub_endpoint": hub.url})
    family = front.ready(teacher="org/Gated")
    assert family.gated
    size = front.catalog.members(family.id)[0].size
    repo = f"boomerang/Gated-{size}"
    files = [f"/models/{size}", f"/models/{size}/config.json", f"/{repo}/resolve/main/config.json"]
    for path in files:
        for method in ("GET", "HEAD"):
            answer = front.client.request(method, path, headers={"Authorization": "Bearer reader"})
            assert answer.status_code == 403, path
            if "resolve" in path:
                assert answer.headers["x-error-code"] == "GatedRepo"
            builder = {"Authorization": "Bearer builder"}
            assert front.client.request(method, path, headers=builder).status_code == 200
    # A student that is given holds weights too.
    hub.add_repo("org/Student", originals.student_folder, private=True)
    given = {"teacher": "teacher", "student": "org/Student"}
    assert front.catalog.family(front.post(**given).json()["id"]).private
    public = front.post(**given, publish={"namespace": "me", "private": False})
    assert problem(public, 422, "bad-request")["value"] is False
    for path in (f"/api/models/{repo}", "/models", f"/families/{family.id}"):
        answer = front.client.get(path, headers={"Authorization": "Bearer reader"})
        assert answer.status_code == 200, path
