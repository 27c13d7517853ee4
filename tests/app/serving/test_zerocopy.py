"""Files that the kernel sends: the same bytes, the same faults, whatever the client does."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.serving.zerocopy import Connection
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range
from boomerang.assembly.stream import BLOCK, WINDOW
from boomerang.checkpoint.sources import FileSource
from tests.app.serving.test_responses import Faulty, Server, held, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, Connection)
    yield made
    made.stop()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the kernel was left to send, call by call."""
    counts: list[int] = []
    real = os.sendfile

    def counted(to: int, file: int, at: int, count: int) -> int:
        counts.append(got := real(to, file, at, count))
        return got

    monkeypatch.setattr("app.serving.zerocopy.os.sendfile", counted)
    return counts


def random_file(path: Path, size: int) -> FileSource:
    path.write_bytes(os.urandom(size))
    return FileSource.of(path)


def test_a_member_of_all_kinds_of_pieces_arrives_whole(
    server: Server, sent: list[int], tmp_path: Path
) -> None:
    a, b = (random_file(tmp_path / name, 9 * BLOCK + 7) for name in "ab")
    member = ByteFile(
        [
            Literal(b"header"), Range(a, 3, a.size), Cast(b, 0, 4 * BLOCK, "F32", "BF16"),
            Range(b, 5, 6 * BLOCK), Range(Faulty(), 0, 3 * BLOCK), Literal(b"between"),
            *(Range(a, at * 4096, at * 4096 + 1000) for at in range(50)), Range(b, 0, b.size),
        ]
    )  # fmt: skip
    server.files["member"] = member
    assert server.get("member").content == member.read()
    assert sum(sent) > 10 * BLOCK
    start, stop = 100, member.size - 100
    part = server.get("member", Range=f"bytes={start}-{stop - 1}")
    assert part.status_code == 206
    assert part.content == member.read(start, stop)
    assert server.get("member", "HEAD").headers["content-length"] == str(member.size)


def test_requests_in_a_row_on_one_connection(
    server: Server, sent: list[int], tmp_path: Path
) -> None:
    source = random_file(tmp_path / "a", 3 * WINDOW)
    server.files["a"], server.files["small"] = ByteFile.whole(source), ByteFile.literal("small")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        ask = "".join(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n" for name in ("a", "small", "a"))
        client.sendall(ask.encode())
        stream = client.makefile("rb")
        for name in ("a", "small", "a"):
            assert stream.readline().startswith(b"HTTP/1.1 200")
            while stream.readline() != b"\r\n":
                pass
            assert stream.read(server.files[name].size) == server.files[name].read()
    assert sum(sent) > 2 * WINDOW


@pytest.mark.parametrize("change", ["rewritten", "shortened"])
def test_a_source_that_changes_on_the_way_breaks_the_connection(
    server: Server, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "weights"
    server.files["a"] = ByteFile.whole(random_file(path, 8 * WINDOW))
    command = ["curl", "-sS", "--noproxy", "*", "--limit-rate", "20M", "-o", str(tmp_path / "got"),
               f"{server.client.base_url}/a"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE) as curl:
        until(lambda: (tmp_path / "got").exists() and (tmp_path / "got").stat().st_size > 0)
        with path.open("r+b") as file:
            if change == "shortened":
                file.truncate(WINDOW)
            else:
                file.seek(7 * WINDOW)
                file.write(b"other")
        assert curl.wait(30) == 18
    until(lambda: held(path) == 0)


def test_a_client_that_waits_holds_no_thread(
    server: Server, sent: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "weights"
    server.files["a"] = ByteFile.whole(random_file(path, 8 * WINDOW))
    asked = [server.ask("a", buffer=4096) for _ in range(20)]
    until(lambda: held(path) == 20)
    server.files["b"] = ByteFile.whole(random_file(tmp_path / "other", 2 * WINDOW))
    assert server.get("b").content == server.files["b"].read()
    for one in asked:
        one.close()
    until(lambda: held(path) == 0)
    assert sent
