"""Pages of sizes, of every family, smallest first."""

from sqlalchemy import select, tuple_

from boomerang.catalog.records.families import Member
from boomerang.catalog.records.listing import SizePlace
from boomerang.catalog.store import Store, record
from boomerang.catalog.tables import MemberRow


class SizesStore(Store):
    """Members, by size."""

    def sizes_page(
        self, limit: int, after: SizePlace | None = None, family: str | None = None
    ) -> tuple[tuple[Member, ...], SizePlace | None]:
        """So many members after a place, of all families or of one, and the place of the next.

        They are in the order of parameters, then of family and patched layers, whatever was added
        meanwhile; the place is None where there are no more.
        """
        place = (MemberRow.parameters, MemberRow.family, MemberRow.k)
        statement = select(MemberRow).order_by(*place).limit(limit + 1)
        if after is not None:
            statement = statement.where(tuple_(*place) > tuple_(*after))
        if family is not None:
            statement = statement.where(MemberRow.family == family)
        with self.db.read() as session:
            found = [record(Member, row) for row in session.scalars(statement)]
        more, found = len(found) > limit, found[:limit]
        last = found[-1] if more else None
        place_of = None if last is None else SizePlace(last.parameters, last.family, last.k)
        return tuple(found), place_of
