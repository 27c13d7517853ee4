"""Keys as the catalog knows them, and who is behind a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

KeyScope = Literal["read", "build", "publish", "admin"]
SCOPES: tuple[KeyScope, ...] = ("read", "build", "publish", "admin")
"""What a key may do; each may do what those before it may."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who is behind a request: the id and the name of a key; neither where there are no keys."""

    id: str | None = None
    name: str | None = None


NOBODY = Who()
"""Whoever reaches a service without keys, which only this machine can."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, without its digest; times are seconds since 1970."""

    id: str
    name: str
    scope: KeyScope
    created: float
    quotas: Mapping[str, Any] | None = None
    expires: float | None = None
    revoked: float | None = None
    used: float | None = None
