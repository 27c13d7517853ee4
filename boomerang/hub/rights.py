"""Which namespaces of the Hub a token may publish to, asked before hours of work."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from boomerang.errors import NamespaceRefused
from boomerang.hub import library
from boomerang.hub.client import (
    acting_token,
    hub_endpoint,
    hub_errors,
    hub_headers,
    patiently,
    session,
)
from boomerang.hub.hurry import silence

HEADER = "X-Hub-Token"
"""The header that a requester's own token comes in, where a service is asked to publish."""
Gate = Literal["auto", "manual"]
"""How readers of a gated repository are let in: by whoever agrees to its terms, or one by one."""
KNOWN_SECONDS = 60.0
"""How long an answer is believed: the Hub limits how often it is asked who somebody is."""
_WRITERS = frozenset({"admin", "write", "contributor"})


@dataclass(frozen=True, slots=True)
class Rights:
    """Whose a token is, and the namespaces in which it may make repositories."""

    user: str
    writes: tuple[str, ...]

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Rights":
        """What the Hub's `whoami-v2` says.

        A token without a role of its own (of an OAuth application) may what its user may.
        """
        user = str(said.get("name"))
        token = (said.get("auth") or {}).get("accessToken") or {}
        if token.get("role") == "read":
            return cls(user, ())
        if token.get("role") == "fineGrained":
            scoped = (token.get("fineGrained") or {}).get("scoped") or ()
            return cls(user, tuple(filter(None, map(_writable, scoped))))
        orgs = [
            str(org.get("name"))
            for org in said.get("orgs") or ()
            if org.get("roleInOrg") is None or org["roleInOrg"] in _WRITERS
        ]
        return cls(user, (user, *orgs))


def _writable(scope: Mapping[str, Any]) -> str | None:
    # What is scoped to single repositories may make no other.
    entity = scope.get("entity") or {}
    whole = entity.get("type") in ("user", "org")
    return entity.get("name") if whole and "repo.write" in scope.get("permissions", ()) else None


_known: dict[bytes, tuple[float, Rights]] = {}
"""What was said, by a digest of the Hub and the token, and when."""


def rights(endpoint: str | None = None) -> Rights | None:
    """What the token in use may do; None where there is none.

    Raises NamespaceRefused for a token that the Hub does not know, HubFailure (HubUnreachable).
    """
    token = acting_token()
    if not token:
        return None
    address = hub_endpoint(endpoint)
    key = hashlib.sha256(f"{address} {token}".encode()).digest()
    now, found = time.monotonic(), _known.get(key)
    if found is None or now - found[0] > KNOWN_SECONDS:
        found = _known[key] = (now, _asked(address, str(token)))
        for old in [one for one, (at, _) in list(_known.items()) if now - at > KNOWN_SECONDS]:
            _known.pop(old, None)
    return found[1]


def _asked(address: str, token: str) -> Rights:
    def ask() -> Any:
        answer = session().get(
            f"{address}/api/whoami-v2", headers=hub_headers(token), timeout=silence()
        )
        library.http.hf_raise_for_status(answer)
        return answer.json()

    with hub_errors("whoami"):
        try:
            return Rights.of(patiently(ask))
        except library.errors.HfHubHTTPError as error:
            if error.response.status_code not in (401, 403):
                raise
            raise NamespaceRefused(
                "The Hub does not know the token that was to publish.",
                fix="Use one that has not been revoked and has not run out.",
            ) from error


def check_namespace(namespace: str, endpoint: str | None = None) -> None:
    """Refuse a namespace that the token in use may not publish to; without a token nothing is.

    Raises NamespaceRefused, HubFailure (HubUnreachable).
    """
    found = rights(endpoint)
    if found is None or namespace in found.writes:
        return
    may = f"may in {', '.join(found.writes)}" if found.writes else "may write nowhere"
    raise NamespaceRefused(
        f"The token of {found.user!r} may make no repository in {namespace!r}; it {may}.",
        value=namespace,
        fix="Publish to a namespace where it may, or use a token with the role 'write', or with "
        "the scope 'repo.write' for that namespace.",
    )
