"""No request makes this service speak to an address of the request's own choosing."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.app.conftest import Front
from tests.local_hub.fixture import OWNER, LocalHub
from tests.support.models import Duo

pytestmark = pytest.mark.slow("a front end that is asked to reach what it should not")

SECRET = "of-the-metadata-service"
ANSWERS = (
    {"secret": SECRET}, [SECRET], SECRET, None, {"id": SECRET}, {"id": "org/good", "sha": 7},
    {"id": "org/good", "sha": "a" * 40, "siblings": [SECRET], "config": SECRET},
    {"id": "org/good", "sha": "a" * 40, "cardData": [SECRET],
     "siblings": [{"rfilename": "../../x.safetensors", "size": SECRET}]},
)  # fmt: skip


class Inside:
    """A service inside of the network, which answers everything and keeps what it heard."""

    def __init__(self) -> None:
        self.socket, self.heard = socket.create_server(("127.0.0.1", 0)), list[bytes]()
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(5)
                self.heard.append(connection.recv(1 << 16))
                said = json.dumps(ANSWERS[len(self.heard) % len(ANSWERS)]).encode()
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
                connection.sendall(head % len(said) + said)


@pytest.fixture
def inside() -> Iterator[Inside]:
    made = Inside()
    yield made
    made.socket.close()


def spelled(port: int) -> list[str]:
    """What somebody may write who wants a service of this machine asked."""
    ends = (f"127.0.0.1:{port}", f"localhost:{port}", f"[::ffff:127.0.0.1]:{port}",
            f"2130706433:{port}", f"0x7f.1:{port}", f"hub@127.0.0.1:{port}")  # fmt: skip
    starts = ("http://", "//", "", "hf://", "../../../../", "a/..//")
    paths = ("", "/x", "/x/y?z=#")
    # Each once with something of each other.
    return [f"{starts[(n + m) % 6]}{end}{paths[m]}" for n, end in enumerate(ends) for m in range(3)]


def test_no_name_is_taken_for_an_address(
    make_front: Callable[..., Front], hub: LocalHub, inside: Inside
) -> None:
    front = make_front(HF_ENDPOINT=hub.url, BOOMERANG_REQUESTS_PER_SECOND="0")
    for name in spelled(inside.port):
        good = {"teacher": "teacher", "data": "texts"}
        for asked in ({"teacher": name}, {"student": name}, {"data": name}, {"recipe": name},
                      {"teacher": "org/a", "revision": name}, {"order": name},
                      {"publish": {"namespace": name}}, {"notify": name}):  # fmt: skip
            answer = front.client.post("/families", json=good | asked)
            assert 400 <= answer.status_code < 500, (asked, answer.text)
        for path in ("/teachers", "/plan", "/new"):
            key = "q" if path == "/teachers" else "teacher"
            assert front.client.get(path, params={key: name}).status_code < 500, name
    assert inside.heard == []
    assert front.catalog.families() == ()
    # Of the Hub only what is there for names was asked.
    for asked_hub in hub.asked:
        assert asked_hub.path.startswith(("/api/models", "/org/a/")), asked_hub.line
        assert ".." not in asked_hub.path


def test_where_a_hub_leads_hears_no_token_and_is_not_quoted(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo, inside: Inside
) -> None:
    hub.add_repo("org/good", originals.teacher_folder)
    front = make_front(HF_ENDPOINT=hub.url, HF_TOKEN=OWNER)
    for number in range(2 * len(ANSWERS)):
        pattern = ("GET /api/models/org/good", "GET /org/good/resolve/")[number % 2]
        host, status = ("127.0.0.1", "localhost")[number // 2 % 2], (302, 307)[number // 4 % 2]
        away = f"http://{host}:{inside.port}/latest/meta-data?token=signed-away"
        hub.refuse(pattern, status, times=20, Location=away)
        answer = front.post(teacher="org/good", data="texts")
        hub.faults.clear()
        assert 400 <= answer.status_code < 600
        assert answer.status_code != 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        for never in (SECRET, "signed-away", OWNER):
            assert never not in answer.text
    assert len(inside.heard) >= len(ANSWERS)
    heard = b"".join(inside.heard)
    assert OWNER.encode() not in heard
    assert b"authorization" not in heard.lower()
    log = front.log.read_text()
    assert OWNER not in log
    assert "signed-away" not in log
    assert front.catalog.families() == ()
