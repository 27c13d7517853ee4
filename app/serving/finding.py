"""Which members a request means: by a size or a budget, by a family, by a repository's name."""

import re

from app.serving.catalog_cache import Snapshot
from boomerang.catalog.records.families import NAMESPACE, Member, repo_id
from boomerang.errors import FamilyNotFound, NotReady
from boomerang.family.budget import meant, no_size

_SIZE = re.compile(r"[0-9A-Za-z.:\-]{1,40}")


def by_size(snapshot: Snapshot, size: str, family: str | None) -> tuple[Member, ...]:
    """The members that a size means: by exact name, else the largest within it as a budget.

    With no family given there may be several. Raises FamilyNotFound, SizeNotFound,
    BudgetOutOfRange.
    """
    every = snapshot.ladders().values() if family is None else (by_family(snapshot, family),)
    ladders = list(every)
    if not _SIZE.fullmatch(size):
        raise no_size(ladders, size)
    return meant(ladders, size)


def by_family(snapshot: Snapshot, family: str) -> tuple[Member, ...]:
    """The ladder of a family, also by an id that it has had.

    Raises FamilyNotFound, NotReady where its files are still being hashed.
    """
    try:
        return snapshot.members(snapshot.named(family))
    except FamilyNotFound:
        if snapshot.catalog.waiting(family) is None:
            raise
        raise NotReady(
            f"The files of family {family} are being hashed.",
            value=family,
            fix="Wait for it: GET /families/{id}/events tells how far it is.",
        ) from None


def by_repo(snapshot: Snapshot, repo: str) -> Member | None:
    """The member that is served under a repository's name, if there is one."""
    if not repo.startswith(NAMESPACE + "/"):
        return None
    for id_, name in snapshot.names().items():
        if repo.startswith(f"{NAMESPACE}/{name}-"):
            for member in snapshot.members(id_):
                if repo_id(name, member) == repo:
                    return member
    return None
