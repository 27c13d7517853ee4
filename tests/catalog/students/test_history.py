"""What is known of a student long after: the curve of its loss, and what it took."""

from itertools import pairwise

import pytest
from sqlalchemy import insert, select, update

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Publication
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.words import in_words
from boomerang.catalog.students.history import POINTS
from boomerang.catalog.tables import EventRow
from boomerang.errors import FamilyNotFound, NotFound
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32


@pytest.fixture
def family(catalog: Catalog) -> str:
    found = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    return found


def run(catalog: Catalog, steps: range, of: int, loss: float = 4.0) -> None:
    """Tell of steps as a worker does, in one transaction."""
    catalog.student_progress(KEY, {"step": steps.start, "steps": of})
    with catalog.db.write() as session:
        told = [{"step": step, "loss": loss + 1 / step} for step in steps[1:]]
        common = {"time": session.now(), "student": KEY, "kind": "progress"}
        if told:
            session.execute(insert(EventRow), [{**common, "payload": one} for one in told])
    catalog.student_progress(KEY, {"step": steps.stop - 1}, event=False)


def ages(catalog: Catalog, by: float) -> None:
    """Make everything that happened older by so many seconds."""
    with catalog.db.write() as session:
        session.execute(update(EventRow).values(time=EventRow.time - by))


def test_a_curve_is_short_however_long_the_run_was(catalog: Catalog, family: str) -> None:
    run(catalog, range(5001), of=5000)
    found = catalog.curve(KEY)
    assert POINTS / 2 < len(found.points) <= POINTS + 1
    assert [step for step, _ in found.points] == sorted({step for step, _ in found.points})
    assert found.points[-1] == (5000, 4.0 + 1 / 5000)
    assert all(loss == 4.0 + 1 / step for step, loss in found.points)
    assert (found.step, found.steps, found.metric) == (5000, 5000, "loss")
    assert catalog.curve(KEY, "kl").points == ()


def test_a_short_run_is_shown_whole(catalog: Catalog, family: str) -> None:
    run(catalog, range(9), of=8)
    assert [step for step, _ in catalog.curve(KEY).points] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_curve_outlives_the_events(catalog: Catalog, family: str) -> None:
    run(catalog, range(2001), of=2000)
    before = catalog.curve(KEY)
    ages(catalog, 86400 * 3)
    catalog.student_note(KEY, "verified", {})
    assert catalog.prune_events(2) > 1600
    assert catalog.curve(KEY) == before
    assert catalog.prune_events(2) == 0


def test_what_a_run_went_back_over_is_told_once(catalog: Catalog, family: str) -> None:
    run(catalog, range(61), of=100)
    run(catalog, range(40, 51), of=100, loss=7.0)
    points = dict(catalog.curve(KEY).points)
    assert max(points) == 50
    assert points[40] == 4.0 + 1 / 40
    assert points[41] == 7.0 + 1 / 41
    run(catalog, range(1), of=100)
    assert catalog.curve(KEY).points == ()


def test_a_figure_that_is_none_is_no_point(catalog: Catalog, family: str) -> None:
    if catalog.db.engine.dialect.name == "sqlite":
        # PostgreSQL refuses to write such an event.
        catalog.student_progress(KEY, {"step": 1, "steps": 8, "loss": float("nan")})
    catalog.student_progress(KEY, {"step": 2, "steps": 8, "loss": None})
    catalog.student_progress(KEY, {"step": 3, "steps": 8, "loss": 1.5})
    assert catalog.curve(KEY).points[-1] == (3, 1.5)
    assert 2 not in dict(catalog.curve(KEY).points)
    catalog.prune_events(1)
    with pytest.raises(NotFound):
        catalog.curve("nobody")


def test_what_deleting_a_family_costs(catalog: Catalog, family: str) -> None:
    catalog.student_note(KEY, "estimate", {"devices": 2, "seconds": 9})
    ages(catalog, 3600)
    catalog.set_student_state(KEY, StudentState.QUEUED, "its worker was lost")
    ages(catalog, 500)
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    ages(catalog, 1800)
    unfinished = catalog.leaving(family)
    assert not unfinished.stays
    assert unfinished.seconds == pytest.approx(5400, abs=60)
    catalog.set_student_state(KEY, StudentState.READY)
    ages(catalog, 900)
    other = catalog.create_family(new_family(order="first"), new_student(), rungs()).family.id
    catalog.set_measuring(family, Fact.RUNNING)
    ages(catalog, 700)
    catalog.set_measuring(family, Fact.YES)
    catalog.set_fact(family, 1, "built", Fact.YES)
    catalog.set_fact(family, 1, "measured", Fact.YES, perplexity=2.0, kl=0.1)
    catalog.set_publication(Publication(repo="me/it", family=family, private=True, card="c" * 64))
    found = catalog.leaving(family)
    assert found.stays
    assert found.seconds == pytest.approx(5400, abs=60)
    assert found.measuring_seconds == pytest.approx(700, abs=60)
    assert (found.devices, found.shared) == (2, 1)
    assert (found.built, found.built_bytes, found.measured) == (1, 8000, 1)
    assert found.repositories == ("me/it",)
    assert catalog.leaving(other).repositories == ()
    with pytest.raises(FamilyNotFound):
        catalog.leaving("nothing")


def test_a_log_is_told_newest_first_a_page_at_a_time(catalog: Catalog, family: str) -> None:
    run(catalog, range(31), of=30)
    for number in range(5):
        catalog.student_note(KEY, "unverified", {"reason": str(number)})
        catalog.student_saved(KEY, {"step": number})
    first, more = catalog.log(family, limit=4)
    assert [event.payload["reason"] for event in first] == ["4", "3", "2", "1"]
    assert more
    rest, more = catalog.log(family, first[-1].id, 10)
    assert [event.kind for event in rest] == ["unverified", "student", "family", "student"]
    assert not more
    with catalog.db.read() as session:
        assert len(session.scalars(select(EventRow.id)).all()) > 30


def test_a_log_leaves_out_how_far_a_measuring_is(catalog: Catalog, family: str) -> None:
    catalog.set_student_state(KEY, StudentState.READY)
    catalog.set_measuring(family, Fact.RUNNING)
    for part in ("measuring, so far 8 of 16 tokens", "measuring, so far 12 of 16 tokens"):
        catalog.set_measuring(family, Fact.RUNNING, part)
        catalog.set_fact(family, 1, "measured", Fact.NO, part, perplexity=2.5, kl=0.1)
    catalog.set_fact(family, 1, "measured", Fact.YES, perplexity=2.0, kl=0.1)
    catalog.set_fact(family, 1, "measured", Fact.NO, "its student is new", perplexity=None)
    catalog.set_measuring(family, Fact.FAILED, "out of memory")
    told, _ = catalog.log(family, limit=6)
    said = [in_words(one, before) for one, before in pairwise(told)]
    assert said == [
        "The family failed", "Measuring failed: out of memory",
        "2.00K is to be measured again: its student is new",
        "2.00K is measured, perplexity 2, KL 0.1", "Measuring began",
    ]  # fmt: skip
