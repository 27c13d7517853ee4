"""Machines that share no disk: a queue, a database and the Hub are all they have in common."""

import hashlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.pair import Pair
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.jobs import QUEUES
from boomerang.service.models.members import member_files
from boomerang.service.running.parts import (
    environment,
    front_end,
    valkey,
    valkey_url,
    worker_command,
)
from boomerang.service.settings import Settings
from tests.local_hub.fixture import LocalHub, running
from tests.local_hub.repos import OWNER
from tests.support.databases import new_database
from tests.workers.conftest import HERE, KEPT, LAYERS, Backend, wait_for, write_model

KEY = "a" * 32


class Machine:
    """A home of its own, and the settings of its installation."""

    def __init__(self, folder: Path, **shared: Any) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        fakes = {name: (sys.executable, str(HERE / f"fake_{name}.py"))
                 for name in ("trainer", "measurer")}  # fmt: skip
        defaults = {"home": folder / "home", "recipe": "smoke", "reap_seconds": 0.2, "port": port,
                    "lease_seconds": 2, "students": "us"} | fakes  # fmt: skip
        self.settings = Settings(**defaults | shared)
        # Where the fake trainer looks for what it "makes".
        self.makes = self.settings.teacher_folder("student")
        self.child: Daemon | None = None

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.settings.home)
        return environment(self.settings) | {"HF_TOKEN": OWNER, "HOME": home, "HF_HOME": home}

    def start(self, child: Daemon) -> "Machine":
        child.start()
        self.child = child
        assert child.wait_until_healthy(60, threading.Event()), child.log.read_text()
        return self

    def front(self) -> "Machine":
        return self.start(front_end(self.settings, self.environment))

    def worker(self) -> "Machine":
        return self.start(Daemon(
            name="worker", arguments=worker_command("worker", QUEUES, 1, "INFO"),
            log=self.settings.logs / "worker.log", environment=self.environment, ready_line=READY,
        ))  # fmt: skip

    def get(self, path: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.settings.port}"
        return httpx.get(f"{url}{path}", timeout=60, trust_env=False).raise_for_status()

    def ask(self) -> str:
        body = {"teacher": "org/teacher", "order": "last", "data": {"id": "org/texts"}}
        url = f"http://127.0.0.1:{self.settings.port}/families"
        answer = httpx.post(url, json=body, timeout=60, trust_env=False)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def wait(self, family: str, over: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> object:
            found.update(self.get(f"/families/{family}").json())
            assert found["student"]["state"] != "failed", found["student"]["reason"]
            return over(found)

        wait_for(look, 120)
        return found

    def served(self, family: str) -> dict[str, bytes]:
        """Every file of every member, by size and name."""
        every = {}
        for member in self.get(f"/models?family={family}").json()["models"]:
            for name in ("config.json", "model.safetensors", "boomerang.json"):
                path = f"/models/{member['size']}/{name}?family={family}"
                every[f"{member['size']}/{name}"] = self.get(path).content
        return every

    @property
    def weights(self) -> list[Path]:
        return [*self.settings.home.rglob("*.safetensors")]


def ready(family: dict[str, Any]) -> bool:
    return bool(family["settled"]) and family["student"]["hub_commit"] is not None


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    with running(tmp_path / "hub") as found:
        yield found


@pytest.mark.long("two installations on five machines, with PostgreSQL and a Hub")
def test_nothing_is_shared_but_queue_database_and_hub(
    tmp_path: Path, hub: LocalHub, postgres: str
) -> None:
    origin = tmp_path / "origin"
    write_model(origin / "teacher", LAYERS, seed=1)
    write_model(origin / "student", len(KEPT), seed=2)
    said = {"copied_teacher_layers": list(KEPT), "pruned_teacher_layers": [1]}
    (origin / "student" / "student_config.json").write_text(json.dumps(said))
    (origin / "texts").mkdir()
    line = json.dumps({"text": "in the beginning was the word " * 40})
    for split in ("train", "calibration", "heldout"):
        (origin / "texts" / f"{split}.jsonl").write_text(f"{line}\n" * 4)
    hub.add_repo("org/teacher", origin / "teacher")
    hub.add_repo("datasets/org/texts", origin / "texts")
    with ExitStack() as stack:

        def installation(name: str) -> dict[str, Any]:
            base = Settings(home=tmp_path / name / "queue", database_url=new_database(postgres))
            queue = valkey(base)
            queue.start()
            stack.callback(queue.stop)
            assert queue.wait_until_healthy(60, threading.Event())
            return {"database_url": base.database_url, "redis_url": valkey_url(base),
                    "hub_endpoint": hub.url}  # fmt: skip

        def machine(name: str, shared: dict[str, Any]) -> Machine:
            made = Machine(tmp_path / name, **shared)
            stack.callback(lambda: made.child and made.child.stop())
            return made

        ours = installation("ours")
        first, second = (machine(name, ours).front() for name in ("first", "second"))
        worker = machine("worker", ours)
        shutil.copytree(origin / "student", worker.makes)
        worker.worker()
        family = first.ask()
        found = first.wait(family, ready)
        key = found["student"]["key"]
        assert found["student"]["hub_repo"] == f"us/boomerang-student-{key}"
        assert hub.store.repos[found["student"]["hub_repo"]].private
        # The worker's machine goes, and its disk with it.
        assert worker.child is not None
        worker.child.stop()
        worker.settings.home.rename(tmp_path / "gone")
        served = first.served(family)
        assert second.served(family) == served
        assert first.weights == second.weights == []
        _are_cut_from(origin, ours, family, served, tmp_path / "gone")

        theirs = installation("theirs")
        third, other = machine("third", theirs).front(), machine("other", theirs).worker()
        assert third.ask() == family
        taken = third.wait(family, ready)
        assert taken["student"]["key"] == key
        assert not [*other.settings.home.glob("runs/*/starts")]
        assert third.served(family) == served
        assert third.weights == []


def _are_cut_from(
    origin: Path, shared: dict[str, Any], family: str, served: dict[str, bytes], gone: Path
) -> None:
    """Compare what was served with what two folders give."""
    catalog = Catalog(shared["database_url"])
    of, members = catalog.family(family), catalog.members(family)
    catalog.close()
    student = gone / "students" / of.student
    pair = Pair.of(Checkpoint.open(origin / "teacher"), Checkpoint.open(student))
    assert len(members) == 2
    for member in members:
        files = member_files(Settings(), pair, member, record={})
        for name in ("config.json", "model.safetensors"):
            assert served[f"{member.size}/{name}"] == files[name].read()


@pytest.mark.long("a worker is killed while it pushes, and another takes over")
def test_a_push_that_is_killed_goes_on_and_is_whole(tmp_path: Path, hub: LocalHub) -> None:
    backend = Backend(tmp_path, students="us", hub_endpoint=hub.url)
    try:
        first = backend.worker("first")
        repo = f"us/boomerang-student-{KEY}"
        with hub.stalling("/commit/"):
            backend.ask("quick")
            wait_for(lambda: hub.lines("/commit/"), 60)
            assert first.pid is not None
            os.kill(first.pid, signal.SIGKILL)
            time.sleep(0.1)
        backend.worker("second")
        wait_for(lambda: backend.catalog.student(KEY).hub_commit is not None, 60)
        student = backend.catalog.student(KEY)
        history = hub.store.repos[repo].history("main")
        # Whether the lost request was heard is the Hub's affair: it is committed once.
        assert (student.hub_commit, len(history)) == (history[0].oid, 2)
        sums = dict(
            reversed(line.split("  "))
            for line in hub.files(repo)["SHA256SUMS"].decode().splitlines()
        )
        found = hub.files(repo)
        assert sums == {
            name: hashlib.sha256(found[name]).hexdigest()
            for name in found.keys() - {"SHA256SUMS", "README.md"}
        }
        assert len(backend.trainers()) == 1
    finally:
        backend.close()
