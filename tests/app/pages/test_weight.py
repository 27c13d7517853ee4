"""Every page is light: what a browser loads for it, all in all, and none of it from elsewhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from benchmarks.pages.families import fill
from boomerang.service.settings import Settings
from tests.app.serving.test_scale import counted
from tests.support.ladders import large

MOST = 150_000
"""Bytes of a page with all that it loads, as they are sent to who takes nothing compressed."""
FAMILY, QUEUED = f"{54:012x}", f"{59:012x}"
PAGES = (
    "/", "/?q=qwen&state=ready", "/new", "/jobs", "/play",
    "/login", f"/families/{FAMILY}", f"/families/{QUEUED}", f"/models/4.020B?family={FAMILY}",
    "/families/nothing",
)  # fmt: skip
LOADED = re.compile(r'(?:src|href)="(/static/[^"]+)"')
IMPORTED = re.compile(r'(?:from|import\(?|new URL\()\s*"(\.[^"]+)"')


@contextmanager
def opened(home: Path, families: int) -> Iterator[TestClient]:
    settings = Settings(
        home=home, redis_url="redis://127.0.0.1:1/0", hub_endpoint="http://127.0.0.1:1", play=True
    )
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1", headers={"Accept": "text/html"}) as client:
        fill(app.state.context.catalog, families, 20)
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with opened(tmp_path_factory.mktemp("home"), 60) as client:
        yield client


def loads(client: TestClient, address: str, seen: dict[str, int]) -> None:
    """Add what an address sends and what that has loaded with it, once each."""
    if address in seen:
        return
    answer = client.get(address)
    assert answer.status_code == 200, address
    seen[address] = len(answer.content)
    if address.endswith(".js"):
        for name in IMPORTED.findall(answer.text):
            loads(client, urljoin(address, name), seen)


@pytest.mark.parametrize("at", PAGES)
def test_a_page_is_light(client: TestClient, at: str) -> None:
    answer = client.get(at)
    assert answer.status_code == (404 if "nothing" in at else 200), answer.text[:500]
    assert weight(client, at) <= MOST


def test_so_is_that_of_the_deepest_teacher_with_every_size_measured(tmp_path: Path) -> None:
    """Llama 3.1 405B has 126 layers, which are 63 sizes."""
    with opened(tmp_path, 1) as client:
        id_ = large(client.app.state.context.catalog, depth=126)  # type: ignore[attr-defined]
        assert "63 sizes" in client.get(f"/families/{id_}").text
        assert weight(client, f"/families/{id_}") <= MOST


def weight(client: TestClient, at: str) -> int:
    """Bytes of a page with all that it loads."""
    answer = client.get(at)
    seen = {at: len(answer.content)}
    for address in LOADED.findall(answer.text):
        loads(client, address, seen)
    assert any(address.endswith("/css/base.css") for address in seen)
    return sum(seen.values())


@pytest.mark.parametrize("at", PAGES)
def test_a_page_names_no_other_host_and_has_no_script_or_style_of_its_own(
    client: TestClient, at: str
) -> None:
    answer = client.get(at)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy
    text = answer.text
    assert not re.search(r'(?:src|action)="(?:https?:)?//', text)
    assert not re.search(r'<link[^>]+href="(?:https?:)?//', text)
    assert not re.search(
        r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|hx-on|javascript:", text
    )
    assert text.count("<h1") == 1
    assert 'lang="en"' in text


OLDEST = f"{0:012x}"
GROWING = re.compile(
    r"FROM (?:families|members|names|students|requests)(?!.*(?:WHERE|LIMIT))", re.S
)


@pytest.mark.parametrize(
    "at",
    ["/", f"/families/{OLDEST}", f"/families/{OLDEST}?part=head", "/jobs", "/play", "/new",
     f"/models/4.020B?family={OLDEST}", f"/play?family={OLDEST}"],
)  # fmt: skip
def test_a_page_asks_as_much_of_many_families_as_of_few(
    client: TestClient, tmp_path: Path, at: str
) -> None:
    with opened(tmp_path, 7) as few:
        of_few = questions(few, at)
    of_many = questions(client, at)
    assert len(of_many) <= len(of_few)
    assert not [one for one in of_many if GROWING.search(one)]


def questions(client: TestClient, at: str) -> list[str]:
    """What a page asks the catalog the second time that somebody looks at it."""
    assert client.get(at).status_code == 200
    with counted(client.app.state.context.catalog) as asked:  # type: ignore[attr-defined]
        assert client.get(at).status_code == 200
    return asked


def test_what_is_loaded_is_found_and_not_guessed(tmp_path: Path) -> None:
    text = 'import { a } from "./a.js"; await import("./b.js"); new URL("./c.js", import.meta.url)'
    assert IMPORTED.findall(text) == ["./a.js", "./b.js", "./c.js"]
