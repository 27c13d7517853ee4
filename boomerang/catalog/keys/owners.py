"""Who owns a family: every key that asked for it and has not let go of it since.

A family that nobody's key asked for (there were none, or it is from before there were) belongs to
the service. Where a key joins it, that stays so: it is no key's alone, and only a key of the scope
`admin` ends it.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, delete, select

from boomerang.catalog.database import Session
from boomerang.catalog.records.keys import Who
from boomerang.catalog.store import Store
from boomerang.catalog.tables import KeyRow, OwnerRow
from boomerang.errors import BoomerangError

SERVICE = ""
"""Stands for the service among the keys that own a family."""


class NotYours(BoomerangError):
    """A family that others asked for."""

    slug, title = "not-yours", "Not yours"


class OwnerStore(Store):
    """Owners, by family."""

    def owners(self, families: Sequence[str] | None = None) -> dict[str, tuple[Who, ...]]:
        """The keys that own families, of these or of all, by family, whoever came first first.

        The service is none of them.
        """
        mine = select(OwnerRow.family, OwnerRow.key, KeyRow.name)
        mine = mine.outerjoin(KeyRow, KeyRow.id == OwnerRow.key).where(OwnerRow.key != SERVICE)
        if families is not None:
            mine = mine.where(OwnerRow.family.in_(families))
        found: dict[str, list[Who]] = {}
        with self.db.read() as session:
            for row in session.execute(mine.order_by(OwnerRow.since, OwnerRow.key)):
                name = row.name or name_of_environment(row.key)
                found.setdefault(row.family, []).append(Who(row.key, name))
        return {family: tuple(owners) for family, owners in found.items()}

    def check_owner(self, family: str, by: str | None) -> None:
        """Raise NotYours where a key does not own a family; None, the service, owns all."""
        with self.db.read() as session:
            check_owner(session, family, by)

    def is_shared(self, family: str, by: str) -> bool:
        """Whether others own a family beside a key."""
        with self.db.read() as session:
            return _others(session, family, by)


def name_of_environment(key: str) -> str:
    """What a key of BOOMERANG_API_KEYS is called: it has no name but the start of its sha256."""
    return f"environment:{key[:8]}"


def own(session: Session, family: str, key: str | None, *, made: bool) -> bool:
    """A key (None: the service) asked for a family, which was `made` for it or was there.

    Returns whether it did so for the first time.
    """
    here = set(session.scalars(select(OwnerRow.key).where(OwnerRow.family == family)))
    now, more = session.now(), [key or SERVICE]
    if not made and not here:
        # Somebody asked for it before this was written down.
        more.insert(0, SERVICE)
    for one in dict.fromkeys(more):
        if one not in here:
            session.add(OwnerRow(family=family, key=one, since=now))
    session.flush()
    return (key or SERVICE) not in here


def is_owner(session: Session, family: str, key: str | None) -> bool:
    """Whether a key (None: the service) is among the owners of a family."""
    return session.get(OwnerRow, (family, key or SERVICE)) is not None


def check_owner(session: Session, family: str, by: str | None) -> None:
    """Refuse a key that does not own a family; None, the service, owns all. Raises NotYours."""
    if by is not None and session.get(OwnerRow, (family, by)) is None:
        raise NotYours(
            f"Family {family} was not asked for with this key.",
            value=family,
            fix="Ask for it too, or use the key that asked for it, or one of the scope 'admin'.",
        )


def lets_go(session: Session, family: str, by: str | None) -> bool:
    """Whether a key that ends a family only let go of its share, as others own it still.

    Whoever is the last owner ends it and stays its owner. Raises NotYours.
    """
    check_owner(session, family, by)
    if by is None:
        return False
    if not _others(session, family, by):
        return False
    session.execute(delete(OwnerRow).where(OwnerRow.family == family, OwnerRow.key == by))
    return True


def _others(session: Session, family: str, by: str) -> bool:
    others = select(OwnerRow.key).where(OwnerRow.family == family, OwnerRow.key != by)
    return session.scalars(others.limit(1)).first() is not None


def owned(by: str) -> Select[str]:
    """The ids of the families of a key, for other questions."""
    return select(OwnerRow.family).where(OwnerRow.key == by)


def owners_follow(session: Session, family: str, to: str) -> None:
    """Have whoever owns a family own the one that it became, or that was made after it, too."""
    if family == to:
        return
    for row in session.scalars(select(OwnerRow).where(OwnerRow.family == family)).all():
        there = session.get(OwnerRow, (to, row.key))
        if there is None:
            session.add(OwnerRow(family=to, key=row.key, since=row.since))
        else:
            there.since = min(there.since, row.since)
    session.flush()


def first_owner(session: Session, family: str) -> str | None:
    """The key that asked for a family first; None where that was the service."""
    mine = select(OwnerRow.key).where(OwnerRow.family == family)
    return session.scalars(mine.order_by(OwnerRow.since, OwnerRow.key)).first() or None


def forget_owners(session: Session, families: Iterable[str]) -> None:
    """Nobody owns what is no more."""
    session.execute(delete(OwnerRow).where(OwnerRow.family.in_(list(families))))
