"""Families as pages of a list show them: what is read grows with the page and not with the list.

Newest first, and those of one state, are found by an index each. What a search looks for stands
anywhere in a name, which no index of both databases knows: it reads names and teachers, newest
first, until the page is full (docs/decisions/pages/dashboard.md says what that costs).
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    union_all,
)

from boomerang.catalog.database import Session
from boomerang.catalog.keys.owners import owned
from boomerang.catalog.records.families import Family, Member, Provisional, Request, successor
from boomerang.catalog.records.listing import SHOWN_STATES, FamilyPage, Place, Rung, ShownState
from boomerang.catalog.records.students import Student
from boomerang.catalog.store import Store, record
from boomerang.catalog.stores.publications import all_names
from boomerang.catalog.tables import (
    FamilyRow,
    MemberRow,
    NameRow,
    ProvisionalRow,
    RequestRow,
    StudentRow,
)

MANY = 100
"""How far the families of a state are counted."""
Rows = type[FamilyRow] | type[ProvisionalRow]


class ListingStore(Store):
    """Pages of families, and what they need of each."""

    def family_page(
        self,
        search: str = "",
        state: ShownState | None = None,
        *,
        limit: int = 24,
        before: Place | None = None,
        owner: str | None = None,
    ) -> FamilyPage:
        """The newest families before a place, at most `limit`; of one state or key, where given.

        `search` stands in the name or the teacher, whatever the case of ASCII letters, or begins
        the id.
        """
        with self.db.read() as session:
            keyed = _page(FamilyRow, search, state, limit + 1, before, owner)
            unkeyed = _page(ProvisionalRow, search, state, limit + 1, before, owner)
            found: list[Family | Provisional] = [
                *(record(Family, row) for row in session.scalars(keyed)),
                *(record(Provisional, row) for row in session.scalars(unkeyed)),
            ]
            found.sort(key=lambda one: (one.created, one.id), reverse=True)
            shown = tuple(found[:limit])
            keys = {one.student for one in shown if isinstance(one, Family)}
            theirs = select(StudentRow).where(StudentRow.key.in_(keys))
            students = [record(Student, row) for row in session.scalars(theirs)]
            last = shown[-1] if len(found) > limit else None
            return FamilyPage(
                families=shown,
                students={student.key: student for student in students},
                names=_names_of(session, [one.id for one in shown if isinstance(one, Family)]),
                following=None if last is None else Place(last.created, last.id),
            )

    def family_counts(self, owner: str | None = None) -> dict[ShownState, int]:
        """How many families there are of each state, where that is less than MANY; else MANY.

        Of a key's alone, where it is given.
        """
        with self.db.read() as session:
            found = dict.fromkeys(SHOWN_STATES, 0)
            asked = _COUNTS if owner is None else _counts(owner)
            for state, count in session.execute(asked):
                found[state] = min(MANY, found[state] + count)
            return found

    def names_of(self, families: Sequence[str]) -> dict[str, str]:
        """What some families are called, by id."""
        with self.db.read() as session:
            return _names_of(session, families)

    def rungs(self, families: Sequence[str]) -> dict[str, tuple[Rung, ...]]:
        """What cards say of the members of some families, by id, each smallest first."""
        columns = [getattr(MemberRow, name) for name in Rung._fields]
        mine = select(*columns).where(MemberRow.family.in_(families))
        found: dict[str, list[Rung]] = {family: [] for family in families}
        with self.db.read() as session:
            for row in session.execute(mine.order_by(MemberRow.parameters, MemberRow.k)):
                found[row.family].append(Rung(*row))
        return {family: tuple(rungs) for family, rungs in found.items()}

    def requests_of(self, families: Sequence[str]) -> dict[str, tuple[Request, ...]]:
        """What was asked of some families, by id, oldest first."""
        mine = select(RequestRow).where(RequestRow.family.in_(families)).order_by(RequestRow.id)
        found: dict[str, list[Request]] = {}
        with self.db.read() as session:
            for row in session.scalars(mine):
                found.setdefault(row.family, []).append(record(Request, row))
        return {family: tuple(requests) for family, requests in found.items()}

    def members_of_size(self, size: str) -> tuple[Member, ...]:
        """The members of every family whose size is called exactly this, case ignored."""
        count, dash, digest = size.partition("-")
        # As sizes are named (family/ladder.py): 2.91B, and -0a1b2c where two have as many.
        written = {size, count.upper() + dash + digest.lower()}
        mine = select(MemberRow).where(MemberRow.size.in_(written))
        with self.db.read() as session:
            rows = session.scalars(mine.order_by(MemberRow.family, MemberRow.k))
            return tuple(record(Member, row) for row in rows)

    def successors(self, families: Iterable[Family]) -> Mapping[str, str | None]:
        """By the id of each outdated family, the one that took its place, if there is one."""
        outdated = [family for family in families if family.outdated is not None]
        if not outdated:
            return {}
        later = select(FamilyRow).where(
            FamilyRow.teacher.in_({family.teacher for family in outdated}),
            FamilyRow.commit.in_({family.outdated for family in outdated}),
        )
        with self.db.read() as session:
            rows = session.scalars(later.order_by(FamilyRow.created.desc(), FamilyRow.id)).all()
            others = [record(Family, row) for row in rows]
        return {family.id: successor(family, others) for family in outdated}


def _counts(owner: str | None = None) -> CompoundSelect[ShownState, int]:
    asked = []
    for state in SHOWN_STATES:
        for rows in (FamilyRow, ProvisionalRow):
            some = _of(rows, state, owner).with_only_columns(rows.id).limit(MANY).subquery()
            asked.append(select(literal(state), func.count()).select_from(some))
    return union_all(*asked)


def _page(
    rows: Rows, search: str, state: ShownState | None, limit: int, before: Place | None,
    owner: str | None,
) -> Select[tuple[FamilyRow]] | Select[tuple[ProvisionalRow]]:  # fmt: skip
    asked = _of(rows, state, owner)
    if search:
        asked = asked.where(_says(rows, search))
    if before is not None:
        earlier = or_(rows.created < before.created, rows.id < before.id)
        asked = asked.where(and_(rows.created <= before.created, earlier))
    return asked.order_by(rows.created.desc(), rows.id.desc()).limit(limit)


def _of(
    rows: Rows, state: ShownState | None, owner: str | None
) -> Select[tuple[FamilyRow]] | Select[tuple[ProvisionalRow]]:
    asked = select(rows) if state is None else select(rows).where(rows.state == state)
    if rows is ProvisionalRow:
        asked = asked.where(ProvisionalRow.became.is_(None))
    if owner is not None:
        asked = asked.where(rows.id.in_(owned(owner)))
    return asked  # type: ignore[return-value]


_COUNTS = _counts()
"""Put together once: that costs more than the question."""


def _says(rows: Rows, search: str) -> ColumnElement[bool]:
    said = [rows.name.icontains(search, autoescape=True)]
    if rows is FamilyRow:
        said.append(FamilyRow.teacher.icontains(search, autoescape=True))
    return or_(*said, rows.id.startswith(search, autoescape=True))


def _names_of(session: Session, families: Sequence[str]) -> dict[str, str]:
    kept = select(NameRow.family, NameRow.name).where(NameRow.family.in_(families))
    found = {row.family: row.name for row in session.execute(kept)}
    if len(found) < len(set(families)):
        # Some may be from before names were kept, and no family was made since.
        names = dict(all_names(session))
        found = {family: names[family] for family in families if family in names}
    return found
