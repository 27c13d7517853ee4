"""The table of events grows with what there is, not with time."""

from sqlalchemy import func, insert, select, update

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.students import pruning
from boomerang.catalog.tables import EventRow, UsageRow
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32


def tell(catalog: Catalog, count: int, **common: object) -> None:
    """Write events as of forty days ago, in one transaction."""
    with catalog.db.write() as session:
        at = session.now() - 86400 * 40
        told = [{"payload": {"step": n, "steps": count}, "time": at} for n in range(count)]
        session.execute(insert(EventRow), [{**one, **common} for one in told])


def how_many(catalog: Catalog, *of: object) -> int:
    with catalog.db.read() as session:
        return session.scalar(select(func.count()).select_from(EventRow).where(*of)) or 0


def test_old_events_are_bounded_for_each_family_and_student(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    other = catalog.create_family(new_family(order="first"), new_student(), rungs()).family.id
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_progress(KEY, {"step": 1, "steps": 3000})
    tell(catalog, 3000, student=KEY, kind="progress")
    tell(catalog, 700, student=KEY, kind="checkpoint")
    tell(catalog, 700, student=KEY, kind="unverified")
    tell(catalog, 1200, family=family, kind="rebuild")
    tell(catalog, 300, family=other, kind="rebuild")
    catalog.set_measuring(family, Fact.RUNNING, "1 of 2")
    before = how_many(catalog)
    with catalog.db.write() as session:
        session.execute(update(EventRow).values(time=EventRow.time - 86400))
    curve = catalog.curve(KEY)
    asked = catalog.prune_events(30, dry_run=True)
    assert (how_many(catalog), asked > 2 * pruning.BATCH) == (before, True)
    newest = catalog.log(family, limit=200)
    assert catalog.prune_events(30) == asked
    assert how_many(catalog) == before - asked
    assert catalog.prune_events(30) == catalog.prune_events(30, dry_run=True) == 0
    assert catalog.curve(KEY) == curve
    assert how_many(catalog, EventRow.kind == "progress") <= 302
    assert how_many(catalog, EventRow.kind == "checkpoint") == 0
    old = EventRow.kind.in_(("rebuild", "unverified"))
    assert how_many(catalog, EventRow.family == family, old) < pruning.KEPT
    assert how_many(catalog, EventRow.family == other, EventRow.kind == "rebuild") == 300
    assert how_many(catalog, EventRow.student == KEY, old) <= pruning.KEPT
    assert catalog.log(family, limit=200) == newest


def test_use_of_long_ago_is_forgotten(catalog: Catalog) -> None:
    with catalog.db.write() as session:
        today = int(session.now() // 86400)
        for day in (today, today - 364, today - 366, today - 4000):
            session.add(UsageRow(key="k", day=day))
    assert catalog.prune_usage(365) == 2
    assert catalog.prune_usage(365) == 0
    with catalog.db.read() as session:
        days = session.scalars(select(UsageRow.day).order_by(UsageRow.day)).all()
    assert list(days) == [today - 364, today]
