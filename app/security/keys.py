"""Keys: those that are known, what each may do, and what a request was found to hold."""

import base64
import hashlib
import hmac

from starlette.requests import Request

from app.errors import LacksScope
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.keys import NOBODY, SCOPES, KeyScope, Who
from boomerang.errors import GatedTeacher
from boomerang.service.settings import Settings

EVERYTHING, NOTHING = len(SCOPES), -1
"""What somebody may do, as the position in SCOPES of the most that is allowed."""


class Keys:
    """The keys of a service, by their sha256."""

    def __init__(self, settings: Settings) -> None:
        self._held: dict[str, int] = {}
        for key in settings.api_keys:
            scope, digest = _read(key.get_secret_value())
            held = EVERYTHING if scope is None else SCOPES.index(scope)
            self._held[digest] = max(held, self._held.get(digest, held))

    def __bool__(self) -> bool:
        return bool(self._held)

    def digests(self) -> tuple[tuple[str, int], ...]:
        """The sha256 of every key in hex, with what it may do."""
        return tuple(self._held.items())

    def digest(self, given: str) -> tuple[str, int] | None:
        """The sha256 of a key that is known, with what it may do; None for any other."""
        if not given:
            return None
        sent = hashlib.sha256(given.encode(errors="replace")).hexdigest()
        # Every one is compared, so that the time tells nothing.
        found = [one for one in self._held.items() if hmac.compare_digest(one[0], sent)]
        return found[0] if found else None


def sent_key(request: Request) -> str | None:
    """The key of a request: as a token, or as the password that a browser asks for.

    None where nothing of the kind was sent.
    """
    sent = request.headers.get("authorization")
    if sent is None:
        return None
    kind, _, value = sent.partition(" ")
    if kind.lower() != "basic":
        return f"{kind} {value}".removeprefix("Bearer ").strip()
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def named(digest: str) -> Who:
    """Whom a key of the environment stands for: it has no name but the start of its sha256."""
    return Who(digest[:12], f"environment:{digest[:8]}")


def who(request: Request) -> Who:
    """Who is behind a request, as the guard found; NOBODY where there are no keys."""
    found: Who = getattr(request.state, "who", NOBODY)
    return found


def may(request: Request, scope: KeyScope) -> bool:
    """Whether the key of a request has a scope; where there are no keys, everybody has all."""
    held: int = getattr(request.state, "held", EVERYTHING)
    return held >= SCOPES.index(scope)


def check_may(request: Request, scope: KeyScope) -> None:
    """Refuse a request whose key lacks a scope. Raises LacksScope."""
    if not may(request, scope):
        raise LacksScope(f"This needs the scope {scope!r}.", value=scope,
                         fix="Use a key with that scope.")  # fmt: skip


def may_have(request: Request, family: Family) -> bool:
    """Whether a key may have members: those of a gated or private teacher or student, where it may
    do more than read.

    The Hub let this service in, on its operator's terms, and nobody else, unless the operator says
    otherwise.
    """
    settings: Settings = request.app.state.settings
    needed: KeyScope = "read" if settings.readers_of_gated else "build"
    return not (family.gated or family.private) or may(request, needed)


def check_may_have(request: Request, family: Family) -> None:
    """Refuse members to keys that may not have them (`may_have`). Raises GatedTeacher."""
    if not may_have(request, family):
        raise GatedTeacher(
            f"The family of {family.teacher!r} is gated or private, and this key may only read.",
            value=family.teacher,
            fix="Use a key with the scope 'build', or have BOOMERANG_READERS_OF_GATED set.",
        )


def _read(text: str) -> tuple[KeyScope | None, str]:
    """Scope (None is all) and sha256 of a key written `scope:key` or `scope:sha256$hex`."""
    start, colon, rest = text.partition(":")
    scope = next((one for one in SCOPES if colon and one == start), None)
    secret = rest if scope else text
    if secret.startswith("sha256$"):
        return scope, secret.removeprefix("sha256$").lower()
    return scope, hashlib.sha256(secret.encode()).hexdigest()
