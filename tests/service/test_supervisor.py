"""`serve` as a process: everything comes up, is watched, and is gone after a signal."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from boomerang.errors import BadRequest
from boomerang.processes.daemon import Daemon
from boomerang.service.running.parts import worker, workers
from boomerang.service.running.supervisor import NotStarted, _start
from boomerang.service.settings import Settings
from tests.support.places import ROOT

pytestmark = pytest.mark.slow("a whole service comes up and goes down")

SERVE = """
from boomerang.service.running import parts, supervisor
from boomerang.processes.daemon import Daemon
from boomerang.service.settings import Settings
import sys
settings = Settings()
# The front end is another package's matter: here a bare server answers in its place.
stand_in = [sys.executable, "-m", "http.server", str(settings.port), "--bind", "127.0.0.1"]
supervisor.front_end = lambda settings, environment: Daemon(
    name="front end", arguments=stand_in, log=settings.logs / "front-end.log",
    healthy=lambda: parts._responds(f"http://127.0.0.1:{settings.port}/"))
try:
    supervisor.serve(settings, say=lambda line: print(line, flush=True))
except Exception as error:
    sys.exit(str(error))
"""


def environment(home: Path) -> dict[str, str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return os.environ | {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "BOOMERANG_HOME": str(home),
        "BOOMERANG_PORT": str(port),
        "BOOMERANG_STOP_SECONDS": "3",
        "REDIS_URL": "",
        "DATABASE_URL": "",
    }


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def start(env: dict[str, str], until: str) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE], env=env, stdout=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if until in line:
            return process, lines
    raise AssertionError("".join(lines))


def pids(lines: list[str]) -> list[int]:
    return [int(pid) for pid in re.findall(r"process (\d+)", "".join(lines))]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_everything_comes_up_is_watched_and_leaves_nothing(
    tmp_path: Path, how: signal.Signals
) -> None:
    # Longer than a socket's path may be.
    home = tmp_path / ("long" * 20)
    env = environment(home)
    process, lines = start(env, "^C stops it")
    assert process.stdout is not None
    try:
        children = pids(lines)
        assert [line.split(":")[0] for line in lines[:4]] == [
            "valkey",
            "worker distill",
            "worker assemble",
            "front end",
        ]
        assert all(alive(pid) for pid in children)
        second = subprocess.run(
            [sys.executable, "-c", SERVE], env=env, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"Another `boomerang serve` runs in {home}." in second.stderr
        if how is signal.SIGINT:
            os.kill(children[-1], signal.SIGKILL)
            assert "front end: ended with status -9" in process.stdout.readline()
            again = process.stdout.readline()
            assert "front end: started again" in again
            children += pids([again])
        started = time.monotonic()
        process.send_signal(how)
        process.wait(20)
        if how is signal.SIGINT:
            assert process.returncode == 0
            assert process.stdout.read().endswith("stopped\n")
        while any(alive(pid) for pid in children):
            assert time.monotonic() - started < 12
            time.sleep(0.05)
        if how is signal.SIGINT:
            assert not list(home.rglob("*.sock"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_whoever_tries_sizes_is_started_where_that_is_on(tmp_path: Path) -> None:
    names = ["worker distill", "worker assemble"]
    assert [part.name for part in workers(Settings(home=tmp_path), {})] == names
    on = workers(Settings(home=tmp_path, play=True), {})
    assert [part.name for part in on] == [*names, "worker play"]


def test_a_part_that_does_not_start_is_named_with_its_log(tmp_path: Path) -> None:
    broken = Daemon(name="thing", arguments=["false"], log=tmp_path / "thing.log")
    broken._healthy = lambda: False
    with pytest.raises(NotStarted) as caught:
        _start(broken, lambda _: None, threading.Event())
    assert str(tmp_path / "thing.log") in str(caught.value)


def test_a_worker_of_its_own_needs_a_queue_it_knows(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as caught:
        worker(Settings(home=tmp_path, redis_url="redis://x"), ("distill", "dance"))
    assert caught.value.value == ["dance"]
    with pytest.raises(BadRequest, match="BOOMERANG_PLAY=true"):
        worker(Settings(home=tmp_path, redis_url="redis://x"), ("play",))
    with pytest.raises(BadRequest, match="Redis"):
        worker(Settings(home=tmp_path, redis_url=""), ("distill",))
