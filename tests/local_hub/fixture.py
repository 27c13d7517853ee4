"""Start the test Hub on a free port, and run the real client against it in a fresh process."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from huggingface_hub import close_session, constants

from tests.local_hub.app import build
from tests.local_hub.faults import Asked, Fault, Layer
from tests.local_hub.repos import OWNER
from tests.local_hub.store import Store
from tests.local_hub.traffic import Traffic
from tests.support.places import ROOT


@dataclass(frozen=True)
class LocalHub:
    """A running Hub: what a test puts into it, and what it finds there."""

    endpoint: str
    store: Store
    layer: Layer

    @property
    def url(self) -> str:
        return self.endpoint

    @property
    def faults(self) -> list[Fault]:
        return self.layer.faults

    @property
    def asked(self) -> list[Asked]:
        return self.layer.asked

    @property
    def traffic(self) -> Traffic:
        return self.store.traffic

    def add_repo(self, id: str, folder: Path, *, gated: bool = False, private: bool = False) -> str:
        """Make a repo of a folder's files and return its commit."""
        repo = self.store.create(id, private, gated)
        files = dict(repo.at("main").files)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            files[name] = self.store.add(name, path.read_bytes())
        made = repo.commit("main", "add files", files)
        self.store.save(repo)
        return made.oid

    def files(self, id: str, revision: str = "main") -> dict[str, bytes]:
        """The contents of a repo, without .gitattributes."""
        repo = self.store.repos[id]
        names = [name for name in repo.at(revision).files if name != ".gitattributes"]
        return {name: self.store.content(repo, revision, name) for name in names}

    def commits(self, id: str, revision: str = "main") -> list[str]:
        """Titles, newest first, without the one that made the repo."""
        return [commit.title for commit in self.store.repos[id].history(revision)][:-1]

    def fail(self, pattern: str, status: int | None = None, times: int = 1) -> None:
        """Answer the next matching requests with `status`, or break them in the middle."""
        self.faults.append(Fault(pattern, status, times))

    def refuse(self, pattern: str, status: int, times: int = 1, **headers: str) -> None:
        """Answer the next matching requests with `status` and headers."""
        told = {key.replace("_", "-"): value for key, value in headers.items()}
        self.faults.append(Fault(pattern, status, times, told))

    @contextmanager
    def stalling(self, pattern: str) -> Iterator[Callable[[], None]]:
        """Say nothing to matching requests in this context, or until what is given is called."""
        over = threading.Event()
        fault = Fault(pattern, times=1 << 30, over=over)

        def end() -> None:
            fault.times = 0
            over.set()

        self.faults.append(fault)
        try:
            yield end
        finally:
            end()

    def answer_otherwise(
        self,
        pattern: str,
        times: int = 1,
        *,
        asking: dict[str, str | None] | None = None,
        **headers: str,
    ) -> None:
        """Give the next matching requests true answers with other headers.

        `asking` are headers of the request that are replaced first, or removed (None).
        """
        told = {key.replace("_", "-"): value for key, value in headers.items()}
        self.faults.append(Fault(pattern, 0, times, told, asking or {}))

    def lines(self, contains: str = "") -> list[str]:
        """The requests so far, as `METHOD /path`."""
        return [asked.line for asked in self.asked if contains in asked.line]


def configuration(layer: Layer) -> uvicorn.Config:
    return uvicorn.Config(layer, lifespan="off", log_level=60, timeout_graceful_shutdown=1)


def listening(port: int = 0) -> socket.socket:
    """A socket on this machine; 0 is any free port."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[LocalHub]:
    """A Hub over `folder`, on a real socket, in a thread of this process.

    Over the folder of one that ended it goes on with what that had.
    """
    store = Store(folder)
    layer = build(store)
    server = uvicorn.Server(configuration(layer))
    with listening(port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # The tests are offline (conftest.py), except to this Hub.
        offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, False
        try:
            yield LocalHub(endpoint, store, layer)
        finally:
            constants.HF_HUB_OFFLINE = offline
            close_session()
            server.should_exit = True
            thread.join(10)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """An empty Hub for one test."""
    with running(tmp_path / "hub") as found:
        yield found


def run_client(
    code: str,
    endpoint: str,
    *,
    xet: bool = True,
    token: str | None = OWNER,
    timeout: float = 100,
    home: Path | None = None,
) -> str:
    """Run Python code in a fresh process whose Hub is `endpoint`; return what it printed.

    HF_ENDPOINT and HF_HUB_DISABLE_XET are read at import and the cache is keyed by repo id, so
    each process has its own HF_HOME; with `home` it knows what an earlier one there had sent.
    """
    with ExitStack() as stack:
        home = home or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "HF_HOME": str(home),
            "HF_ENDPOINT": endpoint,
            "HF_HUB_DISABLE_XET": "0" if xet else "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "OMP_NUM_THREADS": "1",
        }
        if token is not None:
            environment["HF_TOKEN"] = token
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    if done.returncode:
        raise AssertionError(f"the client failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
