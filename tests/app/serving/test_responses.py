"""A ByteFile over a real socket: several ranges, preconditions, faults, and clients that go."""

import email
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from app import errors
from app.serving.responses import FOR_EVER, serve
from app.serving.zerocopy import Connection
from boomerang.assembly.bytefile import ByteFile, Literal, Range
from boomerang.assembly.stream import BLOCK
from boomerang.checkpoint.sources import FileSource
from boomerang.errors import HubFailure
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings
from tests.app.conftest import problem

ETAG = "a" * 40
SIZE = 64 * BLOCK


@dataclass(eq=False)
class Faulty:
    """A source elsewhere that counts what is read of it, and may fail or hang from a byte on."""

    name: str = "faulty"
    size: int = SIZE
    fails_at: int = SIZE + 1
    error: Exception = field(default_factory=lambda: HubFailure("The Hub hung up."))
    hangs: threading.Event | None = None
    read_to: int = 0

    def read(self, start: int, stop: int) -> bytes:
        if self.hangs is not None:
            self.hangs.wait(20)
        if stop > self.fails_at:
            raise self.error
        self.read_to = max(self.read_to, stop)
        return bytes(stop - start)


class Server:
    """The files of a test behind a socket, in this process."""

    def __init__(self, folder: Path, http: Any = "auto") -> None:
        self.files: dict[str, ByteFile] = {}
        app = FastAPI()
        errors.install(app, Redactor(Settings(home=folder)), lambda _request, answer: answer)

        @app.get("/question")
        def question() -> str:
            return "answered in a thread"

        @app.api_route("/{name}", methods=["GET", "HEAD"], response_model=None)
        async def get(name: str, request: Request) -> Response:
            return await serve(request, self.files[name], etag=ETAG)

        config = uvicorn.Config(
            app, port=0, http=http, lifespan="off", access_log=False, log_config=None
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    def get(self, name: str, method: str = "GET", **headers: str) -> httpx.Response:
        shown = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.client.request(method, f"/{name}", headers=shown)

    def ask(self, name: str, buffer: int | None = None) -> socket.socket:
        """Ask for a file and read nothing."""
        asked = socket.socket()
        if buffer is not None:
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        asked.connect(("127.0.0.1", self.port))
        asked.sendall(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return asked

    def stop(self) -> None:
        self.client.close()
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture(params=["auto", Connection], ids=["copied", "lent"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(tmp_path, request.param)
    yield made
    made.stop()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def held(path: Path) -> int:
    """How many descriptors this process has on a file."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}") == str(path)
        except FileNotFoundError:
            continue
    return found


def test_several_ranges(server: Server) -> None:
    data = os.urandom(5000)
    server.files["a"] = ByteFile([Literal(data[:70]), Literal(data[70:])])
    answer = server.get("a", Range="bytes=4000-4099, 10-79,-5,50-99")
    assert answer.status_code == 206
    kind = answer.headers["content-type"]
    assert kind.startswith("multipart/byteranges; boundary=")
    assert "content-range" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    parsed = email.message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer.content)
    assert not parsed.defects
    parts = [
        (p["Content-Range"], p["Content-Type"], p.get_payload(decode=True))
        for p in parsed.get_payload()
    ]  # type: ignore[union-attr]
    octets = "application/octet-stream"
    assert parts == [
        ("bytes 4000-4099/5000", octets, data[4000:4100]),
        ("bytes 10-99/5000", octets, data[10:100]),
        ("bytes 4995-4999/5000", octets, data[-5:]),
    ]
    again = server.get("a", Range="bytes=4000-4099, 10-79,-5,50-99")
    assert again.content == answer.content
    one = server.get("a", Range="bytes=0-9,10-19,5000-")
    assert (one.status_code, one.content) == (206, data[:20])
    assert one.headers["content-range"] == "bytes 0-19/5000"
    many = ",".join(f"{i}-{i}" for i in range(0, 1000, 2))
    refused = server.get("a", Range=f"bytes={many}")
    assert "64 ranges" in problem(refused, 416, "range")["detail"]
    assert refused.headers["content-range"] == "bytes */5000"


def test_preconditions_in_their_order(server: Server) -> None:
    server.files["a"] = ByteFile.literal("0123456789")
    tag, other = f'"{ETAG}"', '"other"'
    for method in ("GET", "HEAD"):
        assert server.get("a", method, If_Match=tag).status_code == 200
        assert server.get("a", method, If_Match=f"{other}, {tag}").status_code == 200
        assert server.get("a", method, If_Match="*").status_code == 200
        for wrong in (other, f"W/{tag}"):
            assert server.get("a", method, If_Match=wrong).status_code == 412
        assert server.get("a", method, If_None_Match=f"W/{tag}").status_code == 304
        # If-Match goes first, then If-None-Match, and only then the range.
        assert server.get("a", method, If_Match=other, If_None_Match=tag).status_code == 412
        assert server.get("a", method, If_None_Match=tag, Range="bytes=99-").status_code == 304
        assert server.get("a", method, If_Match=other, Range="bytes=99-").status_code == 412
        # There is no Last-Modified, so dates decide nothing.
        for name in ("If_Modified_Since", "If_Unmodified_Since"):
            dated = server.get("a", method, **{name: "Thu, 01 Jan 1970 00:00:00 GMT"})
            assert dated.status_code == 200
    problem(server.get("a", If_Match=other), 412, "precondition")
    # A validator that does not match asks for the whole, whatever the range.
    for wrong in (other, f"W/{tag}", ETAG, "Tue, 24 Nov 2026 00:00:00 GMT"):
        whole = server.get("a", If_Range=wrong, Range="bytes=99-")
        assert (whole.status_code, whole.content) == (200, b"0123456789")
    part = server.get("a", If_Range=tag, Range="bytes=2-3")
    assert (part.status_code, part.content) == (206, b"23")
    assert server.get("a", If_Range=tag, Range="bytes=99-").status_code == 416


def test_head_and_get_have_the_same_headers(server: Server) -> None:
    server.files["a"] = ByteFile.literal("x" * 3000)
    server.files["empty"] = ByteFile([])
    for name in ("a", "empty"):
        get = server.get(name, Accept_Encoding="gzip, br, zstd")
        head = server.get(name, "HEAD", Accept_Encoding="gzip, br, zstd", Range="bytes=0-1")
        assert (get.status_code, head.status_code, head.content) == (200, 200, b"")
        drop = {"date"}
        shown = [{k: v for k, v in a.headers.items() if k not in drop} for a in (get, head)]
        assert shown[0] == shown[1]
        assert shown[0]["content-length"] == str(len(get.content))
        assert shown[0]["accept-ranges"] == "bytes"
        assert shown[0]["etag"] == f'"{ETAG}"'
        assert "no-transform" in shown[0]["cache-control"]
        assert "content-encoding" not in shown[0]
    assert "immutable" in FOR_EVER
    for asked in ("bytes=0-", "bytes=-3"):
        empty = server.get("empty", Range=asked)
        assert (empty.status_code, empty.content) == (200, b"")


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [(HubFailure("It hung up."), 502, "hub"), (OSError(5, "I/O error"), 500, "unreadable")],
)  # fmt: skip
def test_a_fault_before_the_first_byte_is_a_problem(
    server: Server, error: Exception, status: int, slug: str
) -> None:
    server.files["a"] = ByteFile(
        [Literal(b"head"), Range(Faulty(fails_at=0, error=error), 0, SIZE)]
    )
    answer = server.get("a")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith(f"urn:boomerang:{slug}")
    assert "etag" not in answer.headers


@pytest.mark.parametrize("error", [HubFailure("The Hub hung up."), OSError(5, "I/O error")])
def test_a_fault_on_the_way_breaks_the_connection(
    server: Server, tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    server.files["a"] = ByteFile.whole(Faulty(fails_at=5 * BLOCK, error=error))
    command = ["curl", "-sS", "--noproxy", "*", "-o", "a", f"{server.client.base_url}/a"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 18, done.stderr
    assert (tmp_path / "a").stat().st_size == 5 * BLOCK
    said = [record for record in caplog.records if record.name == "boomerang.app"]
    assert len(said) == 1
    assert "/a: broken off after" in said[0].getMessage()
    assert not any(record.exc_info for record in caplog.records)
    # The server is none the worse.
    server.files["b"] = ByteFile.literal("well")
    assert server.get("b").text == "well"


def test_a_slow_client_holds_the_reading_back(server: Server) -> None:
    source = Faulty()
    server.files["a"] = ByteFile.whole(source)
    slow = server.ask("a", buffer=4096)
    until(lambda: source.read_to > 0)
    seen = -1
    while seen != source.read_to:
        seen = source.read_to
        time.sleep(0.2)
    # What the two sockets hold (4 MB at most by the system's default), and two blocks.
    assert source.read_to <= 12 * BLOCK
    got = 0
    while got < SIZE:
        got += len(slow.recv(1 << 20))
    slow.close()
    assert source.read_to == SIZE


def test_a_client_that_goes_away_costs_nothing(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "weights"
    with path.open("wb") as file:
        file.truncate(SIZE)
    source = Faulty()
    server.files["a"] = ByteFile([Range(FileSource.of(path), 0, SIZE), Range(source, 0, SIZE)])
    for abrupt in (False, True):
        gone = server.ask("a", buffer=4096)
        until(lambda: held(path) == 1)
        if abrupt:
            # A reset, as when the client's process is killed with data unread.
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
        until(lambda: held(path) == 0)
    assert source.read_to == 0, "nobody read on to the end"
    assert [record.getMessage() for record in caplog.records if record.levelno >= 30] == []


def test_a_client_that_takes_nothing_is_let_go(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("app.serving.sending.STALLED", 0.2)
    path = tmp_path / "large"
    path.write_bytes(bytes(SIZE))
    server.files["large"] = ByteFile.whole(FileSource.of(path))
    with server.ask("large", buffer=4096) as stalled:
        until(lambda: "took no block" in caplog.text)
        until(lambda: held(path) == 0)
        received = 0
        while got := stalled.recv(1 << 20):
            received += len(got)
    assert received < SIZE
    assert server.get("large").content == bytes(SIZE)


def test_a_source_that_hangs_takes_nobody_with_it(server: Server) -> None:
    hangs = threading.Event()
    server.files["hung"] = ByteFile.whole(Faulty(hangs=hangs))
    asked = [server.ask("hung") for _ in range(60)]
    assert server.get("question").json() == "answered in a thread"
    hangs.set()
    for one in asked:
        one.close()
