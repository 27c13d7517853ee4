"""Whose tokens the test Hub knows, and what each of them may write to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWNER = "hf_owner"
"""The token that may do everything."""
READER = "hf_reader"
"""A valid token that was granted no gated repo, and owns nothing."""
GUEST = "hf_GuestsOwnTokenOfThirtySevenCharacters"
"""A token of another user, who may write to a namespace of his own and to one that others share."""
NARROW = "hf_NarrowTokenThatWasGivenScopesOfItsOwn"
"""A fine-grained token: it writes to one organisation of its user's, and to one repository."""
_MAY_WRITE = ("admin", "write", "contributor")


@dataclass(frozen=True)
class Account:
    """A user, with the kind of the token and the scopes of one that has some."""

    name: str
    role: str = "write"
    orgs: Mapping[str, str] = field(default_factory=dict)
    scoped: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def writes(self, namespace: str) -> bool:
        """Whether the token may make a repository there."""
        if self.role == "fineGrained":
            kinds = ("user", "org")
            return any("repo.write" in self.scoped.get((kind, namespace), ()) for kind in kinds)
        mine = namespace == self.name or self.orgs.get(namespace) in _MAY_WRITE
        return self.role == "write" and mine

    def whoami(self) -> dict[str, Any]:
        """What `whoami-v2` answers."""
        token: dict[str, Any] = {"displayName": "a token", "role": self.role}
        if self.role == "fineGrained":
            scoped = [
                {"entity": {"_id": "0" * 24, "type": kind, "name": name}, "permissions": list(may)}
                for (kind, name), may in self.scoped.items()
            ]
            token["fineGrained"] = {"canReadGatedRepos": True, "global": [], "scoped": scoped}
        orgs = [{"type": "org", "name": org, "roleInOrg": may} for org, may in self.orgs.items()]
        return {"type": "user", "name": self.name, "orgs": orgs,
                "auth": {"type": "access_token", "accessToken": token}}  # fmt: skip


ACCOUNTS: dict[str, Account] = {
    OWNER: Account("tester", orgs=dict.fromkeys(("family", "me", "team"), "admin")),
    READER: Account("reader", role="read"),
    GUEST: Account("guest", orgs={"team": "contributor", "family": "read"}),
    NARROW: Account(
        "guest",
        role="fineGrained",
        orgs={"team": "write"},
        scoped={
            ("user", "guest"): ("repo.content.read",),
            ("org", "team"): ("repo.content.read", "repo.write"),
            ("model", "guest/one"): ("repo.write",),
        },
    ),
}


def writes(token: str | None, namespace: str) -> bool:
    """Whether a token may make and change repositories of a namespace."""
    return token == OWNER or (token in ACCOUNTS and ACCOUNTS[str(token)].writes(namespace))
