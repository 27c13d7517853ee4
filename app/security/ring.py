"""The keys that are known, and what each may do.

They are those of BOOMERANG_API_KEYS, and those of the catalog, which is read again while requests
come: what changes there holds here within STALE_SECONDS.
"""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from anyio import CapacityLimiter, to_thread
from sqlalchemy.exc import SQLAlchemyError

from app.security.keys import EVERYTHING
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.keys.keys import digest_of_key
from boomerang.catalog.keys.owners import name_of_environment
from boomerang.catalog.records.keys import SCOPES, Key, KeyScope, Ring, Who
from boomerang.catalog.records.states import CatalogChanged
from boomerang.service.settings import Settings

log = logging.getLogger("boomerang.app")

OLD_SECONDS = 1.5
"""After how long what was read of the catalog is read again, while it is still believed."""
STALE_SECONDS = 4.0
"""After how long it is believed no more."""
PATIENCE = 5.0
"""How long a request waits for a catalog that does not answer; then what was read last holds."""
USED_SECONDS = 60.0
"""How often at most it is written down that a key was used."""


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is known: its sha256, what it may do, whose it is, and the catalog's own of it."""

    digest: str
    held: int
    who: Who
    key: Key | None = None


class Keys:
    """The keys of a service, by their sha256; `clock` gives seconds since 1970."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._open = clock, settings.loopback
        self._given: dict[str, Known] = {}
        for key in settings.api_keys:
            scope, digest = _read(key.get_secret_value())
            held = EVERYTHING if scope is None else SCOPES.index(scope)
            if digest not in self._given or held > self._given[digest].held:
                self._given[digest] = Known(digest, held, named(digest))
        self._catalog: Catalog | None = None
        self._ring, self._kept, self._by_id = Ring(), dict[str, Known](), dict[str, Known]()
        self._lock, self._begun, self._assigned = Lock(), 0, 0
        self._read_at = -STALE_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self._used: dict[str, float] = {}
        self._writing: asyncio.Task[None] | None = None
        self._thread = CapacityLimiter(1)

    def __bool__(self) -> bool:
        """Whether a key is needed: but on loopback always, and there once there was any.

        One that ran out or was revoked must not open what it closed.
        """
        return not self._open or bool(self._given) or self._ring.ever

    def follow(self, catalog: Catalog) -> None:
        """Know the keys of a catalog too, from now on. Raises what a catalog raises."""
        self._catalog = catalog
        self.read()

    def read(self) -> None:
        """Read the catalog's keys now, in this thread."""
        if self._catalog is None:
            return
        with self._lock:
            self._begun += 1
            number = self._begun
        at, ring = time.monotonic(), self._catalog.ring()
        kept = {
            digest: Known(digest, SCOPES.index(key.scope), Who(key.id, key.name), key)
            for digest, key in ring.keys.items()
        }
        with self._lock:
            # One that was begun before another change was made must not undo it here.
            if number > self._assigned:
                self._assigned, self._ring, self._kept, self._read_at = number, ring, kept, at
                self._by_id = {str(one.who.id): one for one in kept.values()}

    async def fresh(self) -> None:
        """Have what is known of the catalog be of the last STALE_SECONDS, where it answers."""
        age = time.monotonic() - self._read_at
        if self._catalog is None or age < OLD_SECONDS:
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_again())
        if age >= STALE_SECONDS:
            await asyncio.wait({self._reading}, timeout=PATIENCE)

    async def _read_again(self) -> None:
        try:
            await to_thread.run_sync(self.read, limiter=self._thread)
        except SQLAlchemyError as error:
            log.warning("keys are those of before: the catalog said %s", type(error).__name__)
            self._read_at = time.monotonic() - OLD_SECONDS / 2

    def digests(self) -> tuple[str, ...]:
        """The sha256 of the keys of the environment in hex."""
        return tuple(self._given)

    def known(self, given: str) -> Known | None:
        """What is known of a key; None for any that nobody knows, or that is over."""
        return self.of_digest(digest_of_key(given)) if given else None

    def of_digest(self, digest: str) -> Known | None:
        """The same by the sha256 of a key.

        Every one of the environment is compared, so that the time tells nothing; where the sha256
        of others is looked up tells nothing of a key, as who sends one cannot choose it.
        """
        found = [one for one in self._given.values() if hmac.compare_digest(one.digest, digest)]
        return found[0] if found else self._kept.get(digest)

    def of_id(self, id_: str) -> Known | None:
        """The same of a key of the catalog, by its id."""
        return self._by_id.get(id_)

    def is_ended(self, nonce: str) -> bool:
        """Whether a session was ended before its time."""
        return nonce in self._ring.ended

    def end(self, nonce: str, expires: float) -> None:
        """End a session, here at once and elsewhere within STALE_SECONDS."""
        if self._catalog is not None:
            self._catalog.end_session(nonce, expires)
            self.read()

    def used(self, known: Known) -> None:
        """A key of the catalog was used: written down soon, once a minute, by nobody who waits."""
        if known.key is None:
            return
        now = self._clock()
        if now - max(known.key.used or 0.0, self._used.get(known.key.id, 0.0)) < USED_SECONDS:
            return
        self._used[known.key.id] = now
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        catalog = self._catalog
        # Whoever comes at the same time is written with it.
        await asyncio.sleep(0.2)
        since = self._clock() - USED_SECONDS
        self._used = {id_: at for id_, at in self._used.items() if at > since}
        if catalog is not None:
            when = {id_: at // 60 * 60 for id_, at in self._used.items()}
            with contextlib.suppress(SQLAlchemyError, CatalogChanged):
                await to_thread.run_sync(catalog.keys_used, when, limiter=self._thread)

    async def stop(self) -> None:
        """Wait for what is being read and written."""
        for task in (self._reading, self._writing):
            if task is not None:
                await asyncio.wait({task}, timeout=PATIENCE)


def named(digest: str) -> Who:
    """Whom a key of the environment stands for."""
    return Who(digest[:12], name_of_environment(digest[:12]))


def _read(text: str) -> tuple[KeyScope | None, str]:
    """Scope (None is all) and sha256 of a key written `scope:key` or `scope:sha256$hex`."""
    start, colon, rest = text.partition(":")
    scope = next((one for one in SCOPES if colon and one == start), None)
    secret = rest if scope else text
    if secret.startswith("sha256$"):
        return scope, secret.removeprefix("sha256$").lower()
    return scope, digest_of_key(secret)
