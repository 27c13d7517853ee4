"""Keys as the catalog knows them, who is behind a request, and what was done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, kw_only=True)
class Ring:
    """What decides who passes: live keys by their sha256, and the nonces of ended sessions.

    `ever` is whether any key was made, whatever became of it.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    ever: bool = False


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What somebody did: `action` upon `subject`, with the HTTP status of the answer.

    `key` and `name` are whose key it was, None where none was known; `time` is seconds since 1970.
    """

    id: int
    time: float
    key: str | None
    name: str | None
    action: str
    subject: str | None
    status: int
    trace: str | None
    detail: Mapping[str, Any] | None
