"""A catalog on each database, and the records it is asked with."""

import shutil
import socket
import subprocess
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


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not POSTGRES:
        pytest.skip("no PostgreSQL server is installed on this machine")
    binaries = POSTGRES[-1].parent
    folder = tmp_path_factory.mktemp("postgres")
    # The server refuses to run as root.
    as_user: list[str] = []
    if folder.owner() == "root":
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL cannot run as root, and there is no runuser")
        as_user = ["runuser", "-u", "postgres", "--"]
        for parent in (folder, folder.parent, folder.parent.parent):
            parent.chmod(0o755)
        shutil.chown(folder, "postgres")
    port, data = _free_port(), folder / "data"
    make = [*as_user, str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-N"]
    subprocess.run([*make, "-U", "postgres"], check=True, capture_output=True, cwd="/")
    options = ["-p", str(port), "-k", str(folder), "-c", "fsync=off", "-h", "127.0.0.1"]
    with (folder.parent / "postgres.log").open("wb") as log:
        command = [*as_user, str(binaries / "postgres"), "-D", str(data), *options]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        _wait_for(port)
        yield url
    finally:
        stop = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"]
        subprocess.run(stop, check=False, capture_output=True, cwd="/")
        server.wait(10)


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
