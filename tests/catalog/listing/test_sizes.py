"""Pages of sizes: every one once, smallest first; and what looks again and again walks no table."""

from pathlib import Path

import pytest
from sqlalchemy import event, insert

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewMember
from boomerang.catalog.records.listing import SizePlace
from boomerang.catalog.tables import FamilyRow, MemberRow, NameRow, StudentRow
from boomerang.errors import BadRequest
from tests.catalog.conftest import new_family, new_student

COPIED = ((StudentRow, "key"), (FamilyRow, "id"), (MemberRow, "family"), (NameRow, "family"))


def ladder(*parameters: int) -> list[NewMember]:
    return [
        NewMember(k=k, size=f"{n}K", code="s", digest=f"{n}-{k}", parameters=n, bytes=n, layers=3)
        for k, n in enumerate(parameters)
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_are_every_size_smallest_first(catalog: Catalog, limit: int) -> None:
    made = [
        catalog.create_family(
            new_family(letter * 32, name=letter), new_student(letter * 32), ladder(*sizes)
        ).family.id
        for letter, sizes in {"a": (5, 5, 9), "b": (5, 7), "c": (1, 9)}.items()
    ]
    for family in (None, made[0]):
        found: list[tuple[int, str, int]] = []
        after: SizePlace | None = None
        while True:
            page, after = catalog.sizes_page(limit, after, family)
            assert len(page) <= limit
            found += [(one.parameters, one.family, one.k) for one in page]
            if after is None:
                break
            assert SizePlace.parse(str(after)) == after
        every = [m for id_ in made for m in catalog.members(id_) if family in (None, id_)]
        assert found == sorted((m.parameters, m.family, m.k) for m in every)


@pytest.mark.parametrize("text", ["", "1~a", "-1~a~0", f"{10**19}~a~0", "1~a~0~", "1~a/~0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="no place in the list of sizes"):
        SizePlace.parse(text)


def test_what_looks_every_few_seconds_walks_through_no_table_that_grows(tmp_path: Path) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}")
    catalog.create_family(new_family(), new_student(), ladder(5, 9))
    _copies(catalog, 500)
    with catalog.db.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    asked: list[tuple[str, object]] = []

    def note(
        connection: object, cursor: object, statement: str, values: object, *_: object
    ) -> None:
        asked.append((statement, values))

    event.listen(catalog.db.engine, "before_cursor_execute", note)
    catalog.reap(60, 5)
    catalog.counts()
    catalog.family_page(limit=24)
    catalog.sizes_page(100, SizePlace(5, "a", 0))
    catalog.changes_after(catalog.last_event() - 1)
    catalog.jobs()
    event.remove(catalog.db.engine, "before_cursor_execute", note)
    assert len(asked) > 20
    walks = []
    with catalog.db.engine.connect() as connection:
        for statement, values in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
                walks += [(row[3], statement) for row in plan if _walk(row[3])]
    assert walks == []
    catalog.close()


def _walk(step: str) -> bool:
    """Whether a step of a plan reads every row of a table that has one for each family or more."""
    grows = step.split()[1:2] and step.split()[1] in {
        "families", "students", "members", "requests", "events", "names", "leases", "tries",
    }  # fmt: skip
    return step.startswith("SCAN") and bool(grows) and "INDEX" not in step


def _copies(catalog: Catalog, number: int) -> None:
    """Many families that are over, as after years."""
    with catalog.db.write() as session:
        for table, key in COPIED:
            row = session.query(table).first()
            values = {c.key: getattr(row, c.key) for c in table.__mapper__.column_attrs}
            state = {"state": "ready"} if "state" in values else {}
            if table is FamilyRow:
                state |= {"settled": True, "measuring": "yes"}
            if table is NameRow:
                rows = [{"name": f"n{at}", "family": f"{at:012x}", "teacher": "T"}
                        for at in range(number)]  # fmt: skip
                session.execute(insert(table), rows)
                continue
            rows = [
                values | state | {key: f"{at:032x}"[-12 if key != "key" else 0 :]}
                for at in range(number)
            ]
            if table is FamilyRow:
                rows = [one | {"student": f"{at:032x}"} for at, one in enumerate(rows)]
            session.execute(insert(table), rows)
