"""A front end for requests that nobody would send: a key, families of each kind, and a queue."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.pages.families import fill
from benchmarks.publishing.local_hub import local_hub
from benchmarks.publishing.models import TOY, make
from boomerang.catalog.catalog import Catalog
from boomerang.service.running import parts
from boomerang.service.settings import Settings

KEY = "fuzz-" + "0" * 32
"""A key that may do everything, from the environment."""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of a front end in a process of its own, over a catalog that is filled."""
    with local_hub(folder / "hub") as hub:
        yield from _beside(folder, hub.url)


def _beside(folder: Path, hub: str) -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    base = Settings(
        home=folder / "home", models=folder / "models", port=port, api_keys=(KEY,), play=True,
        webhook_secret="told", hub_endpoint=hub,
    )  # fmt: skip
    settings = base.model_copy(update={"redis_url": parts.valkey_url(base)})
    catalog = Catalog(settings.database_url)
    fill(catalog, 12, 4)
    make(base.models or folder, TOY)
    environment = parts.environment(settings)
    daemons = (parts.valkey(settings), parts.front_end(settings, environment))
    started = []
    try:
        for daemon in daemons:
            daemon.start()
            started.append(daemon)
            if not daemon.wait_until_healthy(60, threading.Event()):
                raise RuntimeError(daemon.log.read_text())
        _have_one(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        for daemon in reversed(started):
            daemon.stop()
        catalog.close()


def _have_one(base: str) -> None:
    """A family whose files are there, so that sizes can be downloaded."""
    body = {"teacher": "teacher", "student": "student", "order": "last"}
    headers = {"Authorization": f"Bearer {KEY}"}
    httpx.post(
        f"{base}/families", json=body, headers=headers, timeout=60, trust_env=False
    ).raise_for_status()
