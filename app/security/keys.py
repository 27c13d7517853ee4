"""What a request was found to hold: which key, what it may do, whose families it may end."""

import base64

from starlette.requests import Request

from app.errors import LacksScope
from boomerang.catalog.records.families import Family
from boomerang.catalog.records.keys import NOBODY, SCOPES, KeyScope, Who
from boomerang.errors import GatedTeacher
from boomerang.service.settings import Settings

EVERYTHING, NOTHING = len(SCOPES), -1
"""What somebody may do, as the position in SCOPES of the most that is allowed."""


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


def who(request: Request) -> Who:
    """Who is behind a request, as the guard found; NOBODY where there are no keys."""
    found: Who = getattr(request.state, "who", NOBODY)
    return found


def acting(request: Request) -> str | None:
    """The key that a request ends and changes families by; None acts for all of their owners.

    That is for keys of the scope `admin`, and for whoever there is where there are no keys.
    """
    return None if may(request, "admin") else who(request).id


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
