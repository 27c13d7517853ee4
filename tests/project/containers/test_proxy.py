"""The proxy of compose, in front of a server that says what it was asked."""

import datetime
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.project.containers.engine import free_port
from tests.project.test_containers import SERVICES
from tests.support.places import ROOT

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
FOLDER = ROOT / "docker" / "nginx"
TOKEN = "hf_a_token_of_somebody"

pytestmark = [
    pytest.mark.slow("a proxy and a server behind it"),
    pytest.mark.skipif(NGINX is None, reason="needs nginx on the machine"),
]


class Behind(BaseHTTPRequestHandler):
    """Says what came through; `/stream` says half, and the rest once it may."""

    protocol_version = "HTTP/1.1"
    go_on: threading.Event

    def do_GET(self) -> None:
        if self.path.startswith("/stream"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"6\r\nfirst\n\r\n")
            self.go_on.wait(60)
            self.wfile.write(b"5\r\nlast\n\r\n0\r\n\r\n")
            return
        body = json.dumps(dict(self.headers.items())).encode()
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def behind() -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (Behind,), {"go_on": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    handler.go_on.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def proxy(folder: Path, behind: int, listen: str) -> Iterator[dict[str, int]]:
    """The proxy as compose runs it, before a port; which port stands for which."""
    ports = {port: free_port() for port in ("8080", "8081", "8443")}
    (folder / "tmp").mkdir(parents=True)
    for name in ("nginx.conf", listen):
        text = (FOLDER / name).read_text().replace("app:8000", f"127.0.0.1:{behind}")
        for theirs, here in (("/tmp/", f"{folder}/tmp/"), ("/etc/nginx/", f"{folder}/")):
            text = text.replace(theirs, here)
        text = re.sub(r"listen ((?:127\.0\.0\.1:)?)(\d+)",
                      lambda match: f"listen {match[1]}{ports[match[2]]}", text)  # fmt: skip
        (folder / ("listen.conf" if name == listen else name)).write_text(text)
    command = [part for part in SERVICES["nginx"]["command"] if part != "nginx"]
    # Who is root here would give the work to somebody who may not look into this folder.
    command[-1] += " user root;" if os.getuid() == 0 else ""
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [str(NGINX), "-c", str(folder / "nginx.conf"), *command], stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 30
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{ports['8081']}/").status_code == 204
                break
            except httpx.ConnectError:
                assert child.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield ports
    finally:
        child.terminate()
        child.wait(30)


def test_streams_and_ranges_pass_and_nobody_says_for_whom_but_the_proxy(
    behind: ThreadingHTTPServer, tmp_path: Path
) -> None:
    with (
        proxy(tmp_path, behind.server_port, "plain.conf") as ports,
        httpx.Client(base_url=f"http://127.0.0.1:{ports['8080']}", trust_env=False) as client,
    ):
        said = {"Range": "bytes=3-7", "X-Hub-Token": TOKEN, "X-Request-ID": "ours.1"}
        said |= {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https", "Forwarded": "for=x"}
        answer = client.get("/models/3M?key=hidden", headers=said)
        assert answer.status_code == 206
        came = {name.lower(): value for name, value in answer.json().items()}
        assert came["x-forwarded-for"] == "127.0.0.1"
        assert came["x-forwarded-proto"] == "http"
        assert came["host"] == f"127.0.0.1:{ports['8080']}"
        assert (came["range"], came["x-hub-token"]) == ("bytes=3-7", TOKEN)
        assert came["x-request-id"] == "ours.1"
        assert "forwarded" not in came
        odd = client.get("/", headers={"X-Request-ID": 'x" injected'}).json()
        assert re.fullmatch("[0-9a-f]{32}", odd["X-Request-ID"])
        assert client.get("/metrics").status_code == 404
        assert client.post("/families", content=b"x" * (5 << 20)).status_code == 413

        # The first half is here before the second was sent; and one client has so many at most.
        with ExitStack() as held:
            parts = []
            for _ in range(64):
                stream = held.enter_context(client.stream("GET", "/stream", timeout=60))
                parts.append(stream.iter_raw())
                assert next(parts[-1]) == b"first\n"
            with httpx.Client(base_url=client.base_url, trust_env=False) as another:
                assert another.get("/").status_code == 429
            behind.RequestHandlerClass.go_on.set()  # type: ignore[attr-defined]
    log = (tmp_path / "log").read_text()
    assert '"GET /models/3M" 206' in log
    assert "ours.1" in log
    assert TOKEN not in log
    assert "hidden" not in log


def test_with_tls_everybody_is_sent_there(behind: ThreadingHTTPServer, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    certificate(tmp_path / "tls")
    trusted = ssl.create_default_context(cafile=str(tmp_path / "tls" / "fullchain.pem"))
    with proxy(tmp_path, behind.server_port, "tls.conf") as ports:
        answer = httpx.get(f"https://localhost:{ports['8443']}/", verify=trusted, trust_env=False)
        assert answer.json()["X-Forwarded-Proto"] == "https"
        assert "max-age" in answer.headers["strict-transport-security"]
        plain = httpx.get(f"http://127.0.0.1:{ports['8080']}/models?x=1", trust_env=False)
        assert plain.status_code == 308
        assert plain.headers["location"] == "https://127.0.0.1/models?x=1"


def certificate(folder: Path) -> None:
    """A certificate of localhost by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
