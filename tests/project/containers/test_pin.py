"""`make pin`, against a small registry on a socket."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.places import ROOT
from tools.pin import FILES, Away, Image, images

pytestmark = pytest.mark.slow("a process for each run of the tool")


class Registry(BaseHTTPRequestHandler):
    """Gives manifests to who has fetched a token, as Docker Hub does."""

    manifests: dict[str, bytes]
    lies = False

    def do_GET(self) -> None:
        at = urlsplit(self.path)
        if at.path == "/token":
            (scope,) = parse_qs(at.query)["scope"]
            self._answer(200, json.dumps({"token": f"for {scope}"}).encode())
            return
        name, _, tag = at.path.removeprefix("/v2/").partition("/manifests/")
        if self.headers.get("Authorization") != f"Bearer for repository:{name}:pull":
            realm = f"http://127.0.0.1:{self.server.server_address[1]}/token"
            self._answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="r"'})
            return
        body = self.manifests.get(f"{name}:{tag}")
        if body is None or "image.index" not in self.headers["Accept"]:
            self._answer(404, b"")
            return
        digest = hashlib.sha256(b"another" if self.lies else body).hexdigest()
        self._answer(200, body, {"Docker-Content-Digest": f"sha256:{digest}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items() | {("Content-Length", str(len(body)))}:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (Registry,), {"manifests": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of this repository that name images."""
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text())
    return tmp_path


def texts(project: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in sorted(project.rglob("*")) if path.is_file()}


def tags(project: Path) -> set[str]:
    """Every image of others that the files use, without digests."""
    found = {image.partition("@")[0] for text in texts(project).values() for image in images(text)}
    assert {tag.partition(":")[0] for tag in found} >= {"python", "redis", "postgres"}
    return found


def run(project: Path, at: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.pin", "--root", project, "--registry"]
    return subprocess.run(
        [*command, f"docker.io={at}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.long("a process for each run of the tool")
def test_every_image_gets_the_digest_of_its_tag_and_a_later_run_moves_it(
    project: Path, registry: ThreadingHTTPServer
) -> None:
    at = f"http://127.0.0.1:{registry.server_address[1]}"
    manifests = registry.RequestHandlerClass.manifests  # type: ignore[attr-defined]
    for version in (b"1", b"2"):
        digests = {}
        for tag in tags(project):
            image = Image.of(tag)
            body = tag.encode() + version
            manifests[f"{image.name}:{image.tag}"] = body
            digests[tag] = f"sha256:{hashlib.sha256(body).hexdigest()}"
        result = run(project, at)
        assert result.returncode == 0, result.stderr
        for text in texts(project).values():
            for image in images(text):
                tag, _, digest = image.partition("@")
                assert digest == digests[tag]
        assert all(f"{tag} is {digest}" in result.stdout for tag, digest in digests.items())
    before = texts(project)
    assert "Every digest" in run(project, at).stdout
    assert texts(project) == before
    assert "boomerang-app@" not in "".join(before.values())


def test_nothing_is_changed_where_a_registry_is_away_lacks_one_or_lies(
    project: Path, registry: ThreadingHTTPServer
) -> None:
    before = texts(project)
    away = run(project, "http://127.0.0.1:9")
    at = f"http://127.0.0.1:{registry.server_address[1]}"
    manifests = registry.RequestHandlerClass.manifests  # type: ignore[attr-defined]
    *most, last = (Image.of(tag) for tag in sorted(tags(project)))
    manifests |= {f"{image.name}:{image.tag}": b"{}" for image in most}
    lacking = run(project, at)
    manifests[f"{last.name}:{last.tag}"] = b"{}"
    registry.RequestHandlerClass.lies = True  # type: ignore[attr-defined]
    lying = run(project, at)
    for result, said in (
        (away, "docker.io cannot be reached"),
        (lacking, f"docker.io answered 404 for {last.name}:{last.tag}"),
        (lying, "and sent sha256:"),
    ):
        assert result.returncode == 1
        assert result.stderr.startswith("Nothing was changed: ")
        assert said in result.stderr
    assert texts(project) == before


def test_a_name_is_read_as_docker_reads_it() -> None:
    assert Image.of("redis:8.1") == Image("docker.io", "library/redis", "8.1")
    assert Image.of("mher/flower:2@sha256:0") == Image("docker.io", "mher/flower", "2")
    assert Image.of("ghcr.io/a/b/c:v1") == Image("ghcr.io", "a/b/c", "v1")
    assert Image.of("localhost:5000/a:v1") == Image("localhost:5000", "a", "v1")
    for text in ("redis", "localhost:5000/a", "redis@sha256:0"):
        with pytest.raises(Away, match="no tag"):
            Image.of(text)
