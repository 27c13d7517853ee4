"""What a service needs, whether each of it is there, and what helps where it is not.

What is vital keeps a front end from answering at all: without it there is nothing to send a request
to. The rest is told and keeps nobody away: where workers are started by how long the queue is, a
front end that waited for them would never be asked for anything.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import httpx

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.migrations.schema import HEAD, read
from boomerang.service.jobs import PLAY, QUEUES, Producer
from boomerang.service.settings import Settings
from boomerang.service.watching import heartbeat

State = Literal["ok", "warn", "fail"]
FREE_BYTES = 1 << 30
"""What a home must have left: less is not even the smallest student."""
_HUB_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a service needs: `said` is what is wrong, `fix` what helps.

    Neither has an address, a path or an error's own words: whoever asks may be anybody.
    """

    name: str
    state: State
    said: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """How one part is looked at: `look` gives what is wrong, None where nothing is, or raises.

    What was found is believed for `keep` seconds.
    """

    name: str
    look: Callable[[], str | None]
    fix: str
    vital: bool = False
    keep: float = 1.0

    def part(self, said: str | None) -> Part:
        """The part, with what was found."""
        if said is None:
            return Part(self.name, "ok")
        return Part(self.name, "fail" if self.vital else "warn", said, self.fix)

    def looked(self) -> Part:
        """Look now."""
        try:
            return self.part(self.look())
        except Exception as error:
            return self.part(f"does not answer ({type(error).__name__})")


def checks_of(
    settings: Settings, catalog: Catalog, producer: Producer, version: str
) -> tuple[Check, ...]:
    """The checks of a service with these settings, of which `version` runs here."""
    return (
        Check("catalog", lambda: catalog.ping(), "Start the database; see its log.", vital=True),
        Check("schema", lambda: schema(catalog), "Run boomerang migrate, or another version.",
              vital=True, keep=10.0),
        Check("queue", lambda: producer.ping(), "Start Redis or Valkey; see its log.", vital=True),
        Check("workers", lambda: workers(settings, version), "Start workers: boomerang worker."),
        Check("home", lambda: home(settings), "Make BOOMERANG_HOME a folder of this user."),
        Check("disk", lambda: disk(settings), "Make room: boomerang gc --dry-run."),
        Check("hub", lambda: hub(settings), "Look at BOOMERANG_HUB_ENDPOINT and the network.",
              keep=_HUB_SECONDS),
    )  # fmt: skip


def schema(catalog: Catalog) -> str | None:
    """Whether the catalog's tables are those that this program knows. Raises SQLAlchemyError."""
    with catalog.db.engine.connect() as connection:
        found = read(connection)
    return None if found.current else f"is {found}, and this needs {HEAD}"


def workers(settings: Settings, version: str) -> str | None:
    """Which queues have nobody who listens, and whose version is another. Raises RedisError."""
    with heartbeat.connect(settings.redis_url) as client:
        there = heartbeat.present(client)
    needed = (*QUEUES, PLAY) if settings.play else QUEUES
    lacking = heartbeat.missing(needed, there)
    if lacking:
        return f"nobody listens to {', '.join(lacking)}"
    others = sorted({one.version for one in there} - {version})
    return f"workers of {', '.join(others)}, and this is {version}" if others else None


def home(settings: Settings) -> str | None:
    """Whether the home can be written."""
    if not settings.home.is_dir():
        return "is not there"
    return None if os.access(settings.home, os.W_OK | os.X_OK) else "cannot be written"


def disk(settings: Settings) -> str | None:
    """Whether the home has room. Raises OSError where it is not there."""
    free = shutil.disk_usage(settings.home).free
    return None if free >= FREE_BYTES else f"{free / 2**30:.2f} GiB are free"


def hub(settings: Settings) -> str | None:
    """Whether the Hub answers. Raises httpx.HTTPError where it does not."""
    answer = httpx.head(settings.hub_endpoint, timeout=2.0, follow_redirects=False)
    return None if answer.status_code < 500 else f"answers with {answer.status_code}"


class Health:
    """What was found of each part lately; at most one look at each is under way."""

    def __init__(self, checks: Iterable[Check], patience: float = 3.0) -> None:
        """`patience` is how many seconds a part may take to answer."""
        self._looks = tuple(_Look(check) for check in checks)
        self._patience = patience

    def parts(self) -> tuple[Part, ...]:
        """Every part, as it is now or was just before."""
        until = time.monotonic() + self._patience
        for look in self._looks:
            look.begin()
        return tuple(look.found(until) for look in self._looks)


class _Look:
    """Looks at one part, in a thread that ends with the process however long it hangs."""

    def __init__(self, check: Check) -> None:
        self._check, self._lock = check, threading.Lock()
        self._over, self._part, self._at = threading.Event(), check.part("is not known"), -1e9
        self._over.set()

    def begin(self) -> None:
        with self._lock:
            if not self._over.is_set() or time.monotonic() - self._at < self._check.keep:
                return
            self._over.clear()
        threading.Thread(target=self._look, name=f"look {self._check.name}", daemon=True).start()

    def _look(self) -> None:
        self._part, self._at = self._check.looked(), time.monotonic()
        self._over.set()

    def found(self, until: float) -> Part:
        if self._over.wait(max(0.0, until - time.monotonic())):
            return self._part
        return self._check.part("does not answer in time")
