"""A token that is sent where none belongs is told to nobody: no answer, log, catalog or figure."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app.security import ring
from app.security.ring import Keys
from boomerang.service.settings import Settings
from tests.app.conftest import Front
from tests.app.security.test_guard import said
from tests.app.visitor import Visitor

KEY = "the-operators-own-key-of-this-service"
TOKEN = "hf_" + "Ab3" * 12
OURS = "bmr_" + "a1" * 6 + "_" + "Zx-9" * 11


@pytest.mark.slow("a front end that is sent tokens everywhere")
def test_a_token_is_told_nowhere(make_front: Callable[..., Front]) -> None:
    front = make_front(BOOMERANG_API_KEYS=KEY, HF_TOKEN=TOKEN, BOOMERANG_LOG_LEVEL="DEBUG")
    sent = (KEY, TOKEN, OURS)
    # It keeps nothing that it is given.
    stranger = httpx.Client(base_url=front.base, trust_env=False, timeout=60)
    for one in sent:
        basic = base64.b64encode(f"x:{one}".encode()).decode()
        for headers in ({"Authorization": f"Bearer {one}"}, {"Authorization": one},
                        {"Authorization": f"Bearer  {one} x"}, {"Authorization": f"Basic {basic}"},
                        {"Authorization": f"Token {one}"}, {"X-Request-ID": f"/{one}"},
                        {"X-Hub-Token": one}, {"Cookie": f"boomerang_session={one}; a={one}"},
                        {"X-Webhook-Secret": one}, {"Referer": f"{front.base}/?t={one}"},
                        {"User-Agent": one}, {"If-None-Match": one}, {"Range": one}):  # fmt: skip
            for method, path in (("GET", f"/models?family=x&token={one}"), ("POST", "/families"),
                                 ("GET", f"/nowhere?key={one}"), ("POST", "/webhooks/hub"),
                                 ("POST", "/login")):  # fmt: skip
                answer = stranger.request(method, path, headers=headers)
                assert answer.status_code < 500
                shown = answer.text + str(answer.headers.multi_items())
                # Who logs in is sent back to the very address that was asked for.
                assert one not in shown, (headers, path)
        with suppress(OSError):
            # Half of a head, and a head that is none.
            said(front, f"GET /models HTTP/1.1\nAuthorization: Bearer {one}\n {one}\0")
        visitor = Visitor(front.base)
        with visitor.client:
            visitor.send("/login", key=f"{one}x", next=f"/?t={one[:4]}")
            visitor.log_in(one)
    stranger.close()
    logged = front.client.get("/audit").text + front.client.get("/metrics").text
    front.stop()
    kept = b"".join(path.read_bytes() for path in files_of(front.home) if path.is_file())
    for one in sent:
        assert one not in logged
        assert one not in front.log.read_text()
        assert one.encode() not in kept
    # Nor its digest, where keys of the environment are: that would open sessions.
    assert hashlib.sha256(KEY.encode()).hexdigest() not in front.log.read_text()


def files_of(home: Path) -> list[Path]:
    return sorted(home.rglob("*"))


def test_the_time_of_a_refusal_tells_nothing_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [secrets.token_urlsafe(24) for _ in range(5)]
    ours = Keys(Settings(api_keys=tuple(keys)))
    compared: list[tuple[str, str]] = []

    def counted(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    class Counting:
        compare_digest = staticmethod(counted)

    monkeypatch.setattr(ring, "hmac", Counting)
    for sent in (*keys, keys[0][:-1], keys[4] + "x", "x", "é", "x" * 10_000):
        compared.clear()
        known = ours.known(sent)
        assert (known is not None) == (sent in keys)
        # All of them, whichever it is; and never what was sent, but its digest.
        assert len(compared) == len(keys)
        digest = hashlib.sha256(sent.encode()).hexdigest()
        assert all(pair[1] == digest and len(pair[0]) == 64 for pair in compared)
