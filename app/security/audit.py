"""What is written down of a request: who changed what, with which answer; and who was refused.

A change is written before its answer is sent, so what somebody was told was done stands there.
Keys that nobody knows are counted and written now and then, a row for an address, so that a flood
of them fills no table. Nothing of a body, and no key, is ever in a row.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.security.guesses import address_of, network
from app.security.keys import may, who
from app.security.scopes import FORMS, LOGIN, LOGOUT, TRYING, WEBHOOK, changes, stands_for
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.keys import NOBODY, Who
from boomerang.catalog.records.states import CatalogChanged

log = logging.getLogger("boomerang.app")

EVERY_SECONDS = 60.0
"""How often what was refused is written down, where there is any."""
ADDRESSES = 20
"""Of so many addresses at a time; the rest are one row."""
_ACTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), action)
    for pattern, action in (
        (r"POST /families", "families.create"),
        (r"DELETE /families/([^/]+)", "families.delete"),
        (r"POST /families/([^/]+)/(cancel|retry|rebuild|measure|publish)", "families.{}"),
        (r"POST /rebuilds", "families.rebuild"),
        (r"POST /keys", "keys.create"),
        (r"DELETE /keys/([^/]+)", "keys.revoke"),
        (rf"POST {WEBHOOK}", "webhook"),
        (rf"POST {LOGIN}", "login"),
        (rf"POST {LOGOUT}", "logout"),
    )
)
_NAME = re.compile(r"(?!bmr_)[A-Za-z0-9._@-]{1,64}")
_MADE = re.compile(r"/(?:families|keys)/([A-Za-z0-9]{1,16})(?:\?.*)?")
_REFUSED = (401, 429)


def tell(request: Request, **detail: Any) -> None:
    """Have something said of what a request did: flags and numbers, never what somebody typed."""
    before: dict[str, Any] = getattr(request.state, "audited", {})
    request.state.audited = before | detail


def named_deed(method: str, path: str) -> tuple[str, str | None] | None:
    """What a request would do, and upon what; None where it changes nothing that is known."""
    if not changes(method, path) or TRYING.fullmatch(path):
        return None
    if path.startswith(FORMS):
        method, path = stands_for(method, path)
    for pattern, action in _ACTIONS:
        found = pattern.fullmatch(f"{method} {path}")
        if found is not None:
            subject = found[1] if found.re.groups else None
            verb = found[2] if found.re.groups > 1 else ""
            known = subject is not None and _NAME.fullmatch(subject)
            return action.format(verb), subject if known else None
    return None


class Auditor:
    """Writes to a catalog, once it follows one."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._refused: Counter[tuple[str, str]] = Counter()
        self._writing: asyncio.Task[None] | None = None

    def follow(self, catalog: Catalog) -> None:
        """Write to a catalog from now on."""
        self._catalog = catalog

    async def answered(
        self, request: Request, status: int, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Write down what is about to be answered, where it is about a change, or a wrong key."""
        by, path = who(request), request.scope["path"]
        stranger = by is NOBODY and (path == LOGIN or not request.state.passed)
        if status in _REFUSED and stranger:
            self._count("login" if path == LOGIN else "key", network(address_of(request)))
            return
        # Whoever shows no key where one is needed changes nothing, and could send any number.
        keyless = path != WEBHOOK and not may(request, "read")
        if by is NOBODY and (keyless or not request.state.passed):
            return
        deed = named_deed(request.method, path)
        if deed is None or status == 429 or self._catalog is None:
            return
        action, subject = deed
        if subject is None:
            made = _MADE.fullmatch(dict(headers).get(b"location", b"").decode("latin-1"))
            subject = made[1] if made else None
        if path == WEBHOOK:
            by = Who(None, "the Hub")
        detail: dict[str, Any] = getattr(request.state, "audited", {})
        trace = getattr(request.state, "trace", None)

        def write(catalog: Catalog) -> None:
            catalog.audit(by, action, subject, status, trace=trace, detail=detail)

        try:
            await run_in_threadpool(write, self._catalog)
        except (SQLAlchemyError, CatalogChanged) as error:
            # What was done is done; whoever did it must be told.
            log.error("%s %s was not written down: %s", action, subject, type(error).__name__)

    def _count(self, action: str, address: str) -> None:
        self._refused[action, address] += 1
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    async def _write_soon(self) -> None:
        await asyncio.sleep(EVERY_SECONDS)
        await run_in_threadpool(self._write)

    def _write(self) -> None:
        refused, self._refused = self._refused, Counter()
        if self._catalog is None:
            return
        most = refused.most_common(ADDRESSES)
        rows: list[tuple[str, dict[str, Any]]] = [
            (action, {"address": address, "count": count}) for (action, address), count in most
        ]
        left = len(refused) - len(most)
        if left:
            count = refused.total() - sum(count for _, count in most)
            rows.append(("key", {"addresses": left, "count": count}))
        try:
            for action, detail in rows:
                self._catalog.audit(NOBODY, f"{action}.refused", None, 401, detail=detail)
        except (SQLAlchemyError, CatalogChanged) as error:
            log.error("refused keys were not written down: %s", type(error).__name__)

    async def stop(self) -> None:
        """Write what was counted."""
        if self._writing is not None and not self._writing.done():
            self._writing.cancel()
        if self._refused:
            await run_in_threadpool(self._write)
