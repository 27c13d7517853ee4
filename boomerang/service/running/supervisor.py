"""`boomerang serve`: everything on one machine, started in order, watched, stopped in order."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from boomerang.catalog.catalog import Catalog
from boomerang.errors import BadRequest, BoomerangError
from boomerang.processes.daemon import Daemon
from boomerang.service.running.parts import (
    environment,
    expect_resend,
    front_end,
    socket_path,
    tidy,
    valkey,
    valkey_url,
    workers,
)
from boomerang.service.settings import Settings

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.5

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
    closed = settings.loopback or bool(settings.api_keys)
    settings.check(keys=closed or _has_keys(settings))
    settings.home.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.home), _signals() as stop:
        parts: list[Daemon] = []
        try:
            told = environment(settings)
            if not settings.redis_url:
                parts.append(_start(valkey(settings), say, stop))
                told["BOOMERANG_REDIS_URL"] = valkey_url(settings)
            # A catalog that this program cannot use is refused before anything else begins.
            Catalog(settings.database_url, migrate=settings.migrate).close()
            if not settings.redis_url:
                expect_resend(settings)
            for part in (*workers(settings, told), front_end(settings, told)):
                parts.append(_start(part, say, stop))
            say(f"Boomerang is at http://{settings.host}:{settings.port} (^C stops it)")
            _watch(parts, say, stop)
        finally:
            for part in reversed(parts):
                part.stop()
            if not settings.redis_url:
                tidy(socket_path(settings).parent, settings)
            say("stopped")


def _has_keys(settings: Settings) -> bool:
    """Whether the catalog has a key that lives."""
    catalog = Catalog(settings.database_url, migrate=settings.migrate)
    try:
        return bool(catalog.ring().keys)
    finally:
        catalog.close()


def _start(part: Daemon, say: Say, stop: threading.Event) -> Daemon:
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


def _watch(parts: list[Daemon], say: Say, stop: threading.Event) -> None:
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
