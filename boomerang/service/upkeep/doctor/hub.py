"""The Hub: whether it answers and is on time, and what the token of this environment may."""

import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from boomerang.errors import HubFailure, NamespaceRefused
from boomerang.hub.client import hub_token
from boomerang.hub.hurry import Hurry
from boomerang.hub.rights import rights
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.finding import Finding, clock, fail, ok, warn

SECONDS = 5.0
"""How long the Hub may be silent."""


def hub(settings: Settings) -> Iterator[Finding]:
    """Whether the Hub can be used as the settings want it."""
    endpoint, written = settings.hub_endpoint.rstrip("/"), _written(settings)
    needs = bool(hub_token() or written)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        yield warn("hub", "HF_HUB_OFFLINE says that it is not to be asked.",
                   "Unset it, where models of the Hub are wanted.")  # fmt: skip
        return
    try:
        before = time.time()
        answer = httpx.head(endpoint, timeout=SECONDS, follow_redirects=False)
        middle = (before + time.time()) / 2
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = f"It does not answer ({type(error).__name__})"
        fix = "Look at the network, its proxy, and BOOMERANG_HUB_ENDPOINT."
        yield (
            fail("hub", f"{told}.", fix, endpoint)
            if needs
            else warn("hub", f"{told}: only local models can be had.", fix, endpoint)
        )
        return
    yield ok("hub", "It answers.", endpoint)
    if date := answer.headers.get("date"):
        # It is told in whole seconds.
        yield clock(
            "hub's clock", parsedate_to_datetime(date).timestamp() + 0.5 - middle, "the Hub"
        )
    yield from _token(settings, endpoint, written)


def _written(settings: Settings) -> tuple[str, ...]:
    """The namespaces that are written to."""
    named = (settings.namespace, settings.students, *settings.allowed_namespaces)
    return tuple(dict.fromkeys(name for name in named if name))


def _token(settings: Settings, endpoint: str, written: tuple[str, ...]) -> Iterator[Finding]:
    if not hub_token():
        if written:
            yield fail("hub's token", f"There is none; {', '.join(written)} wants one.",
                       "Set HF_TOKEN to one that may write there.")  # fmt: skip
        else:
            yield warn("hub's token", "There is none: gated and private models cannot be had, and "
                       "nothing can be published but with a requester's own.",
                       "Set HF_TOKEN, where that is wanted.")  # fmt: skip
        return
    try:
        with Hurry(SECONDS).within(2 * SECONDS):
            found = rights(endpoint)
    except NamespaceRefused:
        yield fail("hub's token", "The Hub does not know it.",
                   "Use one that has not been revoked and has not run out.")  # fmt: skip
        return
    except HubFailure as error:
        yield fail("hub's token", f"It could not be asked about: {error.detail}", error.fix)
        return
    if found is None:
        return
    lacking = [name for name in written if name not in found.writes]
    may = f"it may write to {', '.join(found.writes)}" if found.writes else "it may only read"
    value = {"user": found.user, "writes": list(found.writes)}
    if lacking:
        yield fail("hub's token", f"It is {found.user!r}'s, and may not write to "
                   f"{', '.join(lacking)}; {may}.",
                   "Use one with the role 'write', or with 'repo.write' there.", value)  # fmt: skip
    else:
        yield ok("hub's token", f"It is {found.user!r}'s; {may}.", value)
