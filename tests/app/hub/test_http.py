"""The Hub's interface as HTTP: revisions, pages, error codes, what mirrors ask, and nonsense."""

import json
import string
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.conftest import Front
from tests.support.models import Duo

TEMPLATE = "additional_chat_templates/rag.jinja"


class Held:
    def __init__(self, front: Front) -> None:
        self.front = front
        self.members = front.catalog.members(front.ready().id)
        self.repo = f"boomerang/teacher-{self.members[1].size}"
        self.api = f"/api/models/{self.repo}"
        self.sha: str = self.get(self.api).json()["sha"]

    def get(self, path: str, method: str = "GET", **rest: Any) -> httpx.Response:
        return self.front.client.request(method, path, **rest)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Held]:
    front = Front(tmp_path_factory.mktemp("held"), originals)
    folder = front.models / "teacher" / "additional_chat_templates"
    folder.mkdir()
    (folder / "rag.jinja").write_text("{{ messages }}")
    try:
        yield Held(front.start())
    finally:
        front.close()


def refused(answer: httpx.Response, code: str, status: int = 404) -> None:
    assert (answer.status_code, answer.headers.get("x-error-code")) == (status, code), answer.text
    assert answer.headers["x-error-message"]
    if answer.request.method != "HEAD":
        assert answer.json()["error"]


@pytest.mark.parametrize("written", ["main", "refs/heads/main", "refs%2Fheads%2Fmain", "{sha}"])
def test_every_way_to_write_a_revision(held: Held, written: str) -> None:
    revision = written.format(sha=held.sha)
    for path in (
        f"{held.api}/revision/{revision}",
        f"{held.api}/tree/{revision}",
        f"{held.api}/tree/{revision}/",
        f"{held.api}/tree/{revision}/additional_chat_templates/",
        f"{held.api}/commits/{revision}",
        f"/{held.repo}/resolve/{revision}/config.json",
        f"/{held.repo}/resolve/{revision}/{TEMPLATE}",
        f"/{held.repo}/resolve/{revision}/{quote(TEMPLATE, safe='')}",
    ):
        for method in ("GET", "HEAD"):
            answer = held.get(path, method)
            assert answer.status_code == 200, (method, path, answer.text)
            assert answer.headers["x-repo-commit"] == held.sha
            assert not [name for name in answer.headers if "xet" in name]
    asked = held.get(f"{held.api}/paths-info/{revision}", "POST", data={"paths": [TEMPLATE]})
    assert [entry["path"] for entry in asked.json()] == [TEMPLATE]


@pytest.mark.parametrize(
    "revision",
    ["v1", "Main", "refs/heads/dev", "refs%2Fpr%2F1", "refs", "..", "%2E%2E", "%00", "0" * 40,
     "main%2F..", "x" * 3000, "%C3%A9", "%FF", "main%00"],
)  # fmt: skip
def test_revisions_that_are_none(held: Held, revision: str) -> None:
    for path in (f"{held.api}/revision/", f"{held.api}/tree/", f"{held.api}/commits/"):
        answer = raw(held, path + revision)
        refused(answer, "RevisionNotFound")
    refused(raw(held, f"/{held.repo}/resolve/{revision}/config.json"), "RevisionNotFound")


def raw(held: Held, path: str, method: str = "GET") -> httpx.Response:
    """The path as it is: httpx would resolve `..` itself."""
    connection = HTTPConnection("127.0.0.1", held.front.port, timeout=30)
    try:
        connection.request(method, path)
        got = connection.getresponse()
        request = httpx.Request(method, held.front.base)
        return httpx.Response(got.status, headers=got.getheaders(), content=got.read(),
                              request=request)  # fmt: skip
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    ["nothing.json", "config.json/", "/config.json", "additional_chat_templates",
     "additional_chat_templates/", "config.json/x", "../config.json", "%2E%2E/config.json",
     "%2Fetc%2Fpasswd", "%00", "config.json%00", "x" * 5000, "%F0%9F%8F%B9.json", "Config.json",
     ""],
)  # fmt: skip
def test_files_that_there_are_not(held: Held, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = raw(held, f"/{held.repo}/resolve/main/{path}", method)
        refused(answer, "EntryNotFound")
        assert answer.headers["x-repo-commit"] == held.sha


@pytest.mark.parametrize(
    "repo",
    ["gpt2", "boomerang/none", "Boomerang/{name}", "boomerang/{name}.git", "someone/{name}",
     "boomerang/..", "boomerang/%00", "boomerang%2F{name}x", "a/b/c", "x" * 3000, "%FF/%FE",
     "boomerang/" + "y" * 3000, "datasets", "boomerang/teacher-", "boomerang/-", "bo%0D%0Aom/x"],
)  # fmt: skip
def test_repositories_that_there_are_not(held: Held, repo: str) -> None:
    repo = repo.format(name=held.repo.split("/")[1])
    paths = [f"/api/models/{repo}", f"/api/models/{repo}/tree/main?recursive=true",
             f"/api/models/{repo}/revision/main", f"/api/datasets/{repo}", f"/api/spaces/{repo}",
             f"/api/models/{repo}/refs", f"/{repo}/resolve/main/config.json",
             f"/datasets/{repo}/resolve/main/x.csv"]  # fmt: skip
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = raw(held, path, method)
            if answer.headers.get("content-type") == "application/problem+json":
                # Too many parts for any address of a repository, or a line break in it.
                assert answer.status_code == 404
                assert path.startswith(("/datasets/a/b/c", "/a/b/c")) or "%0A" in path, path
                continue
            refused(answer, "RepoNotFound")


def test_an_encoded_repository_is_the_same(held: Held) -> None:
    name = quote(held.repo, safe="")
    assert held.get(f"/api/models/{name}/tree/refs%2Fheads%2Fmain").status_code == 200
    assert held.get(f"/{name}/resolve/{held.sha}/{TEMPLATE}").text == "{{ messages }}"


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]
STARTS = ["", "{api}", "{api}/tree/main", "{api}/revision", "{api}/paths-info", "{api}/commits",
          "/{repo}/resolve/main", "/api", "/api/models"]  # fmt: skip
NAMES = st.text(string.printable + "é🏹\0", max_size=30).map(
    lambda text: quote(text, safe="/%.?&=")
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(NAMES, max_size=4), st.sampled_from(METHODS), st.sampled_from(STARTS))
def test_nonsense_is_never_a_fault_of_ours(
    held: Held, parts: list[str], method: str, start: str
) -> None:
    path = start.format(api=held.api, repo=held.repo) + "/" + "/".join(parts)
    answer = raw(held, path, method)
    assert answer.status_code < 500, (method, path, answer.text)


def test_trees_come_in_pages(held: Held) -> None:
    whole = held.get(f"{held.api}/tree/main?recursive=true").json()
    assert {"directory", "file"} == {entry["type"] for entry in whole}
    found, path, pages = [], f"{held.api}/tree/main?recursive=true&limit=3", 0
    while path:
        answer = held.get(path)
        found += answer.json()
        path = answer.links.get("next", {}).get("url", "")
        assert not path or (path.startswith("http://127.0.0.1:") and "recursive=true" in path)
        pages += 1
    assert found == whole
    assert pages == -(-len(whole) // 3)
    flat = held.get(f"{held.api}/tree/main?recursive=False&expand=False").json()
    assert [entry for entry in whole if "/" not in entry["path"]] == flat
    assert held.get(f"{held.api}/tree/main?cursor=999").json() == []
    assert held.get(f"{held.api}/tree/main?limit=0&cursor=-5").json() == flat
    assert held.get(f"{held.api}/tree/main?limit=x").status_code == 422
    for nothing in ("config.json", "x", "additional_chat_templates/x", ".."):
        answer = raw(held, f"{held.api}/tree/main/{nothing}")
        refused(answer, "EntryNotFound")
        assert answer.headers["x-repo-commit"] == held.sha


def test_lists_of_models_come_in_pages(held: Held) -> None:
    ids = [f"boomerang/teacher-{member.size}" for member in held.members]
    assert [model["id"] for model in held.get("/api/models").json()] == ids
    for query in ("", "&full=true"):
        found, path = [], f"/api/models?author=boomerang&limit=2{query}"
        while path:
            answer = held.get(path)
            found += answer.json()
            path = answer.links.get("next", {}).get("url", "")
        assert [model["id"] for model in found] == ids
        assert all(("sha" in model) is bool(query) for model in found)
    held.front.queued(order="first")
    assert [model["id"] for model in held.get("/api/models").json()] == ids
    assert held.get("/api/models?limit=x").status_code == 422
    for wrong in ("5", "min:lots", "min:1,most:2"):
        said = held.get("/api/models", params={"num_parameters": wrong})
        assert said.status_code == 422, said.text
    assert held.get("/api/models?limit=-1&cursor=-1").json()[0]["id"] == ids[0]


def test_heads_are_as_the_client_wants_them(held: Held) -> None:
    path = f"/{held.repo}/resolve/main/model.safetensors"
    head = held.get(path, "HEAD")
    assert head.headers["x-linked-size"] == head.headers["content-length"]
    assert head.headers["x-linked-etag"] == head.headers["etag"]
    assert head.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in held.get(path, headers={"Accept-Encoding": "gzip"}).headers
    part = held.get(path, headers={"Range": "bytes=8-15", "If-Range": head.headers["etag"]})
    assert (part.status_code, len(part.content)) == (206, 8)
    fresh = held.get(path, headers={"If-None-Match": head.headers["etag"]})
    assert fresh.status_code == 304
    info = held.get(held.api, "HEAD")
    assert (info.status_code, info.content) == (200, b"")


def test_facts_about_paths(held: Held) -> None:
    url = f"{held.api}/paths-info/main"
    asked = ["additional_chat_templates/", "README.md", "README.md", "none", TEMPLATE, "/"]
    for body in ({"json": {"paths": asked, "expand": True}},
                 {"data": {"paths": asked, "expand": "True"}}):  # fmt: skip
        found = held.get(url, "POST", **body).json()
        assert [(entry["type"], entry["path"]) for entry in found] == [
            ("directory", "additional_chat_templates"), ("file", "README.md"), ("file", TEMPLATE),
        ]  # fmt: skip
        assert all(entry["lastCommit"]["id"] == held.sha for entry in found)
    assert held.get(url, "POST").json() == []
    assert held.get(url + "/", "POST", data={"paths": "config.json"}).json()
    refused(held.get(f"{held.api}/paths-info/v1", "POST"), "RevisionNotFound")
    assert held.get(url, "POST", content=b"paths=" + b"x" * (5 << 20)).status_code == 413
    kind = {"Content-Type": "application/json"}
    for nonsense in (b"[" * 100_000, b"null", b'{"paths": {}}'):
        assert held.get(url, "POST", content=nonsense, headers=kind).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/repos/create"), ("DELETE", "/api/repos/delete"), ("POST", "/api/repos/move"),
     ("POST", "{api}"), ("PUT", "{api}/settings"), ("POST", "{api}/preupload/main"),
     ("POST", "{api}/commit/main"), ("POST", "{api}/tag/main"), ("POST", "{api}/branch/x"),
     ("DELETE", "{api}/tag/v1"), ("POST", "{api}/tree/main"), ("POST", "/api/validate-yaml"),
     ("POST", "/api/datasets/a/b/commit/main"), ("PATCH", "/api/collections/a")],
)  # fmt: skip
def test_nothing_can_be_written(held: Held, method: str, path: str) -> None:
    answer = held.get(path.format(api=held.api), method, json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"] == answer.headers["x-error-message"]
    assert "Read-only" in answer.json()["error"]


def test_what_is_not_served_says_so(held: Held) -> None:
    for path in ("/api/whoami-v2", "/api/collections/a/b", "/api/", "/api/models/"):
        answer = held.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]


def test_a_gone_teacher_is_no_network_that_is_down(held: Held) -> None:
    shard = held.front.models / "teacher" / "model.safetensors"
    away = shard.with_name("away")
    shard.rename(away)
    try:
        refused(held.get(held.api), "RepoNotFound")
        refused(held.get(f"/{held.repo}/resolve/main/config.json"), "RepoNotFound")
        assert held.get("/api/models?full=true").json() == []
    finally:
        away.rename(shard)
    assert json.loads(held.get(held.api).content)["sha"] == held.sha
