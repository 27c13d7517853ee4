"""Who may be told, and that nobody else is spoken to."""

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from boomerang.errors import BadRequest
from boomerang.service import notify
from boomerang.service.notify import NobodyThere, NotTaken, send, target
from boomerang.service.settings import Settings
from tests.support.receiver import SECRET, receiving


def settings(*hosts: str, **changes: Any) -> Settings:
    return Settings(**{"notify_hosts": hosts, "notify_secret": SECRET} | changes)


LISTED = settings("ci.example.org", "Other.example:8443", "*.wide.example", "127.0.0.1:9000",
                  "localhost:9000", "[::1]:9000", "plain.example:80")  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "https://ci.example.org/hook?key=x",
        "https://CI.example.org:443",
        "https://other.example:8443/",
        "https://a.b.wide.example/",
        "https://127.0.0.1:9000/",
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://[::1]:9000/",
    ],
)
def test_these_may_be_told(url: str) -> None:
    assert target(LISTED, url).url.scheme in url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://ci.example.org/", "in the clear"),
        ("http://plain.example/", "in the clear"),
        ("http://a.wide.example/", "in the clear"),
        ("https://example.org/", "not listed"),
        ("https://ci.example.org.evil.example/", "not listed"),
        ("https://wide.example/", "not listed"),
        ("https://ci.example.org:8080/", "not listed"),
        ("https://other.example/", "not listed"),
        ("http://127.0.0.1:6379/", "not listed"),
        ("http://127.0.0.2:9000/", "not listed"),
        ("http://2130706433:9000/", "not listed"),
        ("https://ci.example.org@evil.example/", "no address"),
        ("https://evil.example\\@ci.example.org/", "no address"),
        ("ftp://127.0.0.1:9000/", "no address"),
        ("file:///etc/passwd", "no address"),
        ("ci.example.org", "no address"),
        ("https://", "no address"),
        ("https://ci.example.org\n/", "no address"),
        ("https://ci.example.org:99999999/", "no address"),
    ],
)
def test_and_these_may_not(url: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why) as caught:
        target(LISTED, url)
    assert caught.value.value == url
    assert caught.value.fix


def test_without_a_list_nobody_is_told_and_without_a_key_nothing_is_served(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="tells nobody"):
        target(Settings(home=tmp_path), "https://ci.example.org/")
    settings("ci.example.org").check()
    for secret in ("", "whsec_", "whsec_c2VjcmV0", "not base64, but long enough to be a key"):
        with pytest.raises(BadRequest, match="nobody can tell") as caught:
            settings("ci.example.org", notify_secret=secret).check()
        assert len(secret) < 9 or secret not in str(vars(caught.value))


PRIVATE = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1",
           "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
           "2002:a00:1::"]  # fmt: skip


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_listed_domain_does_not_lead_into_a_private_network(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    # Nor where one of its addresses is public.
    resolves(monkeypatch, "93.184.216.34", address)
    with pytest.raises(NotTaken, match="private network"):
        send(LISTED, "https://a.wide.example/", "msg_1", "{}")


def test_neither_a_redirect_nor_a_body_nor_a_slow_answer_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        told = settings(receiver.host)
        send(told, receiver.url(), "msg_1", "{}")
        receiver.plan = ["redirect"]
        with pytest.raises(NotTaken, match="answered 307"):
            send(told, receiver.url(), "msg_1", "{}")
        receiver.plan = ["busy"]
        with pytest.raises(NobodyThere, match="answered 503"):
            send(told, receiver.url(), "msg_1", "{}")
        monkeypatch.setattr(notify, "SECONDS", 3.0)
        receiver.plan = ["drip"]
        with pytest.raises(NobodyThere, match="did not answer"):
            send(told, receiver.url(), "msg_1", "{}")
        assert len(receiver.got) == 4
        # What is listed no longer is told nothing, whatever was promised before.
        with pytest.raises(NotTaken, match="not listed"):
            send(settings("ci.example.org"), receiver.url(), "msg_1", "{}")
        with pytest.raises(NotTaken, match="BOOMERANG_NOTIFY_SECRET"):
            send(settings(receiver.host, notify_secret=""), receiver.url(), "msg_1", "{}")
        assert len(receiver.got) == 4


def test_a_certificate_must_be_the_names_though_an_address_is_spoken_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-nodes",
         "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", key, "-out", certificate,
         "-subj", "/CN=ci.example.org",
         "-addext", "subjectAltName=DNS:ci.example.org"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with receiving(context) as receiver:
        resolves(monkeypatch, "127.0.0.1")
        told = settings(f"ci.example.org:{receiver.port}", f"other.example.org:{receiver.port}")
        url = f"https://ci.example.org:{receiver.port}/hook"
        with pytest.raises(NobodyThere, match="ConnectError"):
            send(told, url, "msg_1", "{}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(NobodyThere, match="ConnectError"):
            send(told, url.replace("ci.", "other."), "msg_1", "{}")
        send(told, url, "msg_1", "{}")
        ((headers, body),) = receiver.got
        assert (headers["host"], body) == (f"ci.example.org:{receiver.port}", b"{}")
