"""A catalog on each database, and the records it is asked with."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from boomerang.service.catalog import Catalog
from boomerang.service.records import NewFamily, NewMember, NewStudent

POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def new_student(key: str = "k" * 32, **changes: object) -> NewStudent:
    values: dict[str, object] = {
        "key": key,
        "teacher": "org/Teacher-4B",
        "teacher_commit": "c" * 40,
        "kept": (0, 2, 3),
        "layers": 4,
        "recipe": {"name": "smoke", "steps": 10},
        "recipe_name": "smoke",
    }
    return NewStudent(**values | changes)  # type: ignore[arg-type]


def new_family(student: str = "k" * 32, order: str = "last", **changes: object) -> NewFamily:
    values: dict[str, object] = {
        "name": "Teacher-4B",
        "teacher": "org/Teacher-4B",
        "revision": "main",
        "commit": "c" * 40,
        "source": None,
        "student": student,
        "order": order,
        "request": {"budget": "2.9B"},
    }
    return NewFamily(**values | changes)  # type: ignore[arg-type]


def rungs() -> tuple[NewMember, ...]:
    return (
        NewMember(
            k=0, size="1.00K", code="sss+sss", digest="d0", parameters=1000, bytes=4000, layers=3
        ),
        NewMember(
            k=1, size="2.00K", code="bbb+ttt", digest="d1", parameters=2000, bytes=8000, layers=4
        ),
    )


def result(name: str, limit: int | None = None, **changes: object) -> dict[str, object]:
    """What a task gave, as boomerang.quality.tasks says it."""
    metric = {"task": name, "metric": "acc", "filter": "none", "value": 0.5, "stderr": 0.125,
              "version": "1.0", "samples": 10, "shots": 0}  # fmt: skip
    found = {"name": name, "limit": limit, "harness": "0.4", "failed": None, "metrics": [metric]}
    return {**found, **changes}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    if not POSTGRES:
        pytest.skip("no PostgreSQL server is installed on this machine")
    binaries = POSTGRES[-1].parent
    # The server refuses to run as root, and its user may not look into pytest's folders.
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="boomerang-postgres-"))
    port, data = _free_port(), folder / "data"
    make = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-N", "-U", "postgres"]
    serve = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
    try:
        if user is not None:
            shutil.chown(folder, user)
        subprocess.run(make, check=True, capture_output=True, cwd="/", user=user)
        with (folder / "log").open("wb") as log:
            options = ["-c", "fsync=off", "-h", "127.0.0.1"]
            server = subprocess.Popen([*serve, *options], stderr=log, cwd="/", user=user)
        try:
            _wait_for(port)
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            # An immediate end: connections that tests left open are no reason to wait.
            server.send_signal(signal.SIGQUIT)
            server.wait(20)
    finally:
        shutil.rmtree(folder)


def _wait_for(port: int) -> None:
    import psycopg

    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'catalog.sqlite'}"
    import psycopg

    server = request.getfixturevalue("postgres")
    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return str(server).rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    opened = Catalog(url)
    yield opened
    opened.close()
