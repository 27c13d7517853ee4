"""Whatever is written into an address, an answer is one answer, and a page is nobody else's."""

import re
import socket
from collections.abc import Callable

import pytest

from app.main import create_app
from boomerang.service.settings import Settings
from tests.app.conftest import Front
from tests.app.visitor import HTML, Visitor

pytestmark = pytest.mark.slow("a front end whose every address is asked for in many ways")

NAMES = (
    "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/config.json", "..%5c..%5cconfig.json",
    "%252e%252e%252fetc%252fpasswd", "....//....//etc/passwd", "%2fetc%2fpasswd",
    "config.json%00.txt", "%c0%ae%c0%ae%c0%afetc%c0%afpasswd", "a%0d%0aSet-Cookie:%20evil=1",
    "a%0d%0a%0d%0a%3cscript%3ealert(1)%3c/script%3e", "%e2%82%ac%22;filename=x", "a" * 5000,
    "file:%2f%2f%2fetc%2fpasswd", "~%2f.ssh", "%3cscript%3ealert(1)%3c%2fscript%3e",
)  # fmt: skip
NEVER = (b"root:x:0", b"\nSet-Cookie:", b"\r\n\r\n<script>alert")
"""What no answer has; a page has no script of others' either."""


def addresses() -> list[tuple[str, str]]:
    """Method and address of everything that has a part to be chosen."""
    described = create_app(Settings()).openapi()["paths"]
    found = [(m.upper(), path) for path, methods in described.items() for m in methods
             if "{" in path]  # fmt: skip
    pages = [("GET", f"/{page}/{{x}}") for page in ("static", "play", "login", "jobs", "docs")]
    return [*found, *pages, ("POST", "/forms/families/{x}/delete"), ("GET", "/{ns}/{name}")]


@pytest.mark.long("a front end whose every address is asked for in many ways")
def test_no_part_of_an_address_leads_out_or_into_the_head(shared: Front) -> None:
    size = shared.catalog.members(shared.ready().id)[0].size
    real = {"size": size, "ns": "boomerang", "name": f"teacher-{size}", "revision": "main"}
    asked = 0
    for method, path in addresses():
        for part in re.findall(r"\{(\w+)[^}]*\}", path):
            # Of every three one here: each is tried with parts of all kinds.
            for name in NAMES[asked % 3 :: 3]:
                at = re.sub(rf"\{{{part}[^}}]*\}}", lambda _, n=name: n, path)
                at = re.sub(r"\{(\w+)[^}]*\}", lambda m: real.get(m[1], "config.json"), at)
                accept = ("text/html", "application/json")[asked % 2]
                status, answer = whole(shared, f"{method} {at}", accept)
                assert 300 <= status < 500, (method, at, status, answer[:500])
                assert not [never for never in NEVER if never in answer], at
                page = b"text/html" in answer.partition(b"\r\n\r\n")[0]
                assert not page or b"<script>alert" not in answer, at
                asked += 1
    assert asked > 8 * len(NAMES)


def whole(front: Front, asked: str, accept: str) -> tuple[int, bytes]:
    """Status, and every byte of an answer."""
    with socket.create_connection(("127.0.0.1", front.port), 30) as connection:
        head = f"{asked} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nConnection: close"
        connection.sendall(head.encode() + b"\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return int(answer[9:12]), answer


@pytest.mark.parametrize("keys", ["", "the-key-of-a-visitor"])
def test_a_page_is_framed_by_nobody_and_runs_only_what_is_ours(
    make_front: Callable[..., Front], keys: str
) -> None:
    front = make_front(**({"BOOMERANG_API_KEYS": keys} if keys else {}))
    family = front.ready()
    size = front.catalog.members(family.id)[0].size
    for path in ("/", "/login", "/new", "/jobs", "/play", f"/families/{family.id}", "/docs",
                 f"/models/{size}", "/nowhere", "/families/nothing", "/models/nothing",
                 "/events?after=x"):  # fmt: skip
        answer = front.client.get(path, headers=HTML, follow_redirects=True)
        assert "text/html" in answer.headers["content-type"], path
        policy = answer.headers["content-security-policy"]
        for part in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
                     "form-action 'self'"):  # fmt: skip
            assert part in policy, path
        assert "unsafe-eval" not in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if path != "/docs":
            assert "unsafe" not in policy
            assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|javascript:", answer.text), path


def test_nobody_is_sent_elsewhere_by_logging_in(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS="the-key-of-a-visitor")
    for bad in ("//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example",
                "javascript:alert(1)", "/%0d%0aSet-Cookie:x", "\x00//evil.example",
                "/x\r\nSet-Cookie: evil=1", "///evil.example"):  # fmt: skip
        visitor = Visitor(front.base)
        with visitor.client:
            found = visitor.log_in("the-key-of-a-visitor", bad)
            again = visitor.get("/login", params={"next": bad})
        for answer in (found, again):
            assert answer.status_code == 303
            assert re.fullmatch(r"/(?![/\\])[\x21-\x7e]*", answer.headers["location"]), bad
            assert "evil" not in answer.headers["location"]
