"""What keys download is counted as it was sent, and refused where it is enough."""

import asyncio
import hashlib
import socket
import time
from pathlib import Path

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from app.serving.served import Served
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.allowances import QuotaSpent
from tests.app.conftest import Front, problem

KEYS = "admin:all,read:one,read:two"


def id_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def get(front: Front, path: str, key: str, **headers: str) -> httpx.Response:
    headers |= {"Authorization": f"Bearer {key}", "Accept": "*/*"}
    return httpx.get(f"{front.base}{path}", headers=headers, trust_env=False, timeout=60)


@pytest.mark.slow("a front end is started twice, and asked for more than it may give")
def test_downloads_are_counted_and_end_with_the_quota(make_front: object) -> None:
    front: Front = make_front(BOOMERANG_API_KEYS=KEYS, BOOMERANG_BYTES_PER_DAY="50000")  # type: ignore[operator]
    family = front.ready()
    size = front.catalog.members(family.id)[0].size
    path = f"/models/{size}?family={family.id}"
    part = get(front, path, "one", Range="bytes=0-9999")
    assert (part.status_code, len(part.content)) == (206, 10_000)
    sent = len(part.content)
    while sent < 50_000:
        sent += len(get(front, path, "one").content)
    refused = get(front, path, "one")
    body = problem(refused, 429, "quota")
    assert body["value"] == 50_000
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    # Metadata is no download, and what others had is theirs.
    assert get(front, "/models", "one").status_code == 200
    assert get(front, path, "two", Range="bytes=0-0").status_code == 206
    assert get(front, path, "all").status_code == 200
    # What has not been written down yet is, at the end.
    front.stop()
    assert front.catalog.used(id_of("one")).bytes == sent
    assert front.catalog.used(id_of("two")).bytes == 1
    front.start()
    problem(get(front, path, "one"), 429, "quota")


@pytest.mark.slow("a front end is stopped while a client is slow")
def test_of_a_download_that_is_broken_off_what_was_sent_is_counted(make_front: object) -> None:
    front: Front = make_front(BOOMERANG_API_KEYS=KEYS)  # type: ignore[operator]
    family = front.ready()
    member = front.catalog.members(family.id)[0]
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = f"GET /models/{member.size}?family={family.id} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        client.sendall(f"{asked}Accept: */*\r\nAuthorization: Bearer one\r\n\r\n".encode())
        head = client.recv(1024)
        assert b" 200 " in head
    total = int(
        get(front, f"/models/{member.size}?family={family.id}", "two").headers["content-length"]
    )
    front.stop()
    assert front.catalog.used(id_of("two")).bytes == total
    assert front.catalog.used(id_of("one")).bytes <= total


def test_what_cannot_be_written_down_is_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    away = [True]
    charge = catalog.charge_bytes

    def charged(sent: dict[str, int]) -> dict[str, int]:
        if away:
            away.pop()
            raise OperationalError("away", None, Exception())
        return charge(sent)

    monkeypatch.setattr(catalog, "charge_bytes", charged)

    async def serve() -> None:
        served = Served(catalog, 0.01)
        served.add("one", 5)
        served.add(None, 7)
        until = time.monotonic() + 20
        while catalog.used("one").bytes < 5:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        served.add("one", 5)
        with pytest.raises(QuotaSpent):
            await served.check("one", 10)
        await served.check("one", 11)
        await served.check("one", 0)
        await served.stop()

    asyncio.run(serve())
    assert catalog.used("one").bytes == 10
    assert not away
    catalog.close()
