"""Heads that are long, slow or mean two things: an end is made of them, and of nothing else."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from app.serving import heads
from app.serving.heads import HEAD_BYTES
from app.serving.zerocopy import Connection
from boomerang.assembly.bytefile import ByteFile, Range
from tests.app.serving.test_responses import Faulty, Server

GET = b"GET /%s HTTP/1.1\r\nHost: x\r\n"
PUT = b"POST /file HTTP/1.1\r\nHost: x\r\n"
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, Connection)
    made.files["file"] = ByteFile.literal("what it says")
    yield made
    made.stop()


def heard(server: Server, *sent: bytes) -> bytes:
    """All that is answered until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        said = b""
        try:
            for part in sent:
                client.sendall(part)
            while part := client.recv(1 << 16):
                said += part
        except (ConnectionResetError, BrokenPipeError):
            # It hung up while more was on its way.
            pass
        return said


CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    "more",
    [
        b"X: " + b"a" * HEAD_BYTES + b"\r\n",
        b"".join(b"X%d: a\r\n" % number for number in range(9000)),
        b"Cookie: " + b"a=b; " * 20_000 + b"\r\n",
    ],
)
def test_a_long_head_is_refused(server: Server, more: bytes) -> None:
    said = heard(server, GET % b"file" + more + CLOSE)
    assert said.startswith(b"HTTP/1.1 431 ")
    assert b"urn:boomerang:head-too-long" in said
    # One as long as it may be is heard.
    longest = b"X: " + b"a" * (HEAD_BYTES - 200) + b"\r\n"
    assert heard(server, GET % b"file" + longest + CLOSE).endswith(b"what it says")


@pytest.mark.parametrize(
    "start",
    [
        GET % b"file" + b"X: ", b"GET /", b"A" * 10, b"\r\n\r\n", CHUNKED + b"1;x=",
        CHUNKED + b"0\r\nX: ",
    ],
)  # fmt: skip
def test_what_never_ends_is_not_kept(server: Server, start: bytes) -> None:
    # Nobody could send so much to who reads no more.
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(start)
        more = (b"\r\n" if start == b"\r\n\r\n" else b"aa") * (64 << 20)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.sendall(more)
    assert server.get("file").text == "what it says"


@pytest.mark.long("a head is late after two seconds, so that no busy machine is taken for slow")
def test_who_says_a_head_slowly_is_hung_up_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "HEAD_SECONDS", 2.0)
    slow = Slow()
    server.files["slow"] = ByteFile([Range(slow, 0, slow.size)])
    starts = {
        b"": b"",
        b"GET /fi": b"HTTP/1.1 408 ",
        GET % b"file" + b"X: a": b"HTTP/1.1 408 ",
        # A second one, after an answer; and a body that nobody waits for.
        GET % b"file" + b"\r\n" + b"G": b"HTTP/1.1 200 ",
        PUT + b"Content-Length: 9\r\n\r\n1": b"HTTP/1.1 405 ",
        # What is being answered goes on.
        GET % b"slow" + b"\r\n" + b"GET /fi": b"HTTP/1.1 200 ",
    }
    with ThreadPoolExecutor(len(starts)) as pool:
        said = dict(zip(starts, pool.map(partial(heard, server), starts), strict=True))
    for start, answer in starts.items():
        assert said[start].startswith(answer), start
    long = said[GET % b"slow" + b"\r\n" + b"GET /fi"]
    assert b"HTTP/1.1 408 " in long[slow.size :]


class Slow(Faulty):
    """A source that takes longer than a head may."""

    def __init__(self) -> None:
        super().__init__(size=1 << 20)

    def read(self, start: int, stop: int) -> bytes:
        time.sleep(3.0)
        return super().read(start, stop)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: 4, 5\r\n", b"Content-Length: +4\r\n", b"Content-Length: 0x4\r\n",
        b"Content-Length: " + b"9" * 500 + b"\r\n",
        b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n", b"X: a\r\n Transfer-Encoding: chunked\r\n",
        b"X: a\rTransfer-Encoding: chunked\r\n", b"X: a\nTransfer-Encoding: chunked\r\n",
        b"X\0: a\r\n",
    ],
)  # fmt: skip
def test_no_request_is_smuggled_in_another(server: Server, fields: bytes) -> None:
    hidden = b"0\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\n\r\n"
    said = heard(server, PUT + fields + b"\r\n" + hidden)
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"what it says" not in said


def test_fields_after_a_body_are_none_of_the_head(server: Server) -> None:
    ask = GET % b"file" + b"Transfer-Encoding: chunked\r\n"
    said = heard(server, ask + CLOSE + b"0\r\nRange: bytes=0-0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"what it says")
