"""Pages of families: whole, in order, and found by what is searched."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import event, text

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Planned
from boomerang.catalog.records.listing import FamilyPage, Place
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.errors import BadRequest
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.migrations.kept import number


def make(catalog: Catalog, name: str, key: str = "k" * 32, **changes: object) -> str:
    new = new_family(key, name=name, teacher=f"org/{name}", **changes)
    return catalog.create_family(new, new_student(key), rungs()).family.id


def wait(catalog: Catalog, name: str) -> str:
    family = new_family(name=name, source="/models/x", teacher=name)
    planned = Planned(family=family, student=new_student(), members=rungs(), requests=())
    return catalog.expect(planned, 10)[0].id


def every(catalog: Catalog, limit: int, **asked: object) -> list[str]:
    found: list[str] = []
    page: FamilyPage | None = None
    while page is None or page.following is not None:
        before = None if page is None else Place.parse(str(page.following))
        page = catalog.family_page(limit=limit, before=before, **asked)  # type: ignore[arg-type]
        assert len(page.families) <= limit
        found += [one.id for one in page.families]
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 24])
def test_pages_are_the_whole_list_newest_first(catalog: Catalog, limit: int) -> None:
    made = [make(catalog, f"T{i}") for i in range(5)]
    made.insert(0, wait(catalog, "W"))
    with catalog.db.write() as session:
        # Two at the same moment, which no page may lose or show twice.
        for at, id_ in enumerate(made):
            for table in ("families", "provisional"):
                session.execute(
                    text(f"UPDATE {table} SET created = {at // 2} + 0.125 WHERE id = '{id_}'")
                )
    order = sorted(made, key=lambda id_: (made.index(id_) // 2, id_), reverse=True)
    assert every(catalog, limit) == order


def test_a_state_is_its_students_also_when_that_changes(catalog: Catalog) -> None:
    one, two = make(catalog, "A"), make(catalog, "B")
    other = make(catalog, "C", "o" * 32)
    waiting = wait(catalog, "W")
    assert set(every(catalog, 2, state="queued")) == {one, two, other}
    catalog.set_student_state("k" * 32, StudentState.DISTILLING)
    assert set(every(catalog, 2, state="distilling")) == {one, two}
    assert every(catalog, 2, state="queued") == [other]
    assert every(catalog, 2, state="hashing") == [waiting]
    # One more of a student that is there.
    three = make(catalog, "D")
    assert set(every(catalog, 2, state="distilling")) == {one, two, three}
    counts = catalog.family_counts()
    assert counts == {
        "hashing": 1, "queued": 1, "distilling": 3, "ready": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    catalog.cancel(other)
    catalog.give_up(waiting)
    assert set(every(catalog, 1, state="cancelled")) == {other, waiting}


def test_a_search_finds_what_is_said(catalog: Catalog) -> None:
    qwen = make(catalog, "Qwen3-4B")
    llama = make(catalog, "Llama_100%")
    waiting = wait(catalog, "qwen-local")
    assert set(every(catalog, 1, search="QWEN")) == {qwen, waiting}
    assert every(catalog, 1, search="n3-4") == [qwen]
    assert set(every(catalog, 24, search="org/")) == {qwen, llama}
    assert every(catalog, 24, search=qwen[:5]) == [qwen]
    # Signs that a pattern has are signs.
    assert every(catalog, 24, search="%") == every(catalog, 24, search="_1") == [llama]
    assert every(catalog, 24, search="nothing") == []


def test_what_is_shown_of_them(catalog: Catalog) -> None:
    one, two = make(catalog, "A"), make(catalog, "B", "o" * 32)
    catalog.set_fact(one, 0, "measured", Fact.YES, kl=0.5, perplexity=9.0)
    page = catalog.family_page(limit=1)
    assert (page.ids, set(page.students)) == ((two,), {"o" * 32})
    assert page.names == {two: "B"} == catalog.names_of([two])
    [first, second] = catalog.rungs([one])[one]
    assert (first.size, first.kl, first.measured, second.measured) == ("1.00K", 0.5, "yes", "no")
    assert catalog.rungs(["none"]) == {"none": ()}
    assert catalog.requests_of([one, two]) == {}
    assert [member.family for member in catalog.members_of_size("2.00k")] == sorted([one, two])
    assert catalog.members_of_size("2.00") == ()


def test_names_from_before_they_were_kept(catalog: Catalog) -> None:
    one, two = make(catalog, "A"), make(catalog, "B")
    with catalog.db.write() as session:
        session.execute(text("DELETE FROM names"))
    assert catalog.names_of([one, two]) == catalog.names()


def test_what_took_the_place_of_an_outdated_one(catalog: Catalog) -> None:
    old = make(catalog, "A")
    assert catalog.successors([catalog.family(old)]) == {}
    family = replace(catalog.family(old), outdated="d" * 40)
    assert catalog.successors([family]) == {old: None}
    new = make(catalog, "A", "o" * 32, commit="d" * 40)
    assert catalog.successors([family]) == {old: new}


@pytest.mark.parametrize("said", ["", "now", "x~y", "~"])
def test_what_is_no_place_is_said(said: str) -> None:
    with pytest.raises(BadRequest):
        Place.parse(said)


def test_an_older_catalog_learns_the_states(catalog: Catalog, url: str) -> None:
    one = make(catalog, "A")
    with catalog.db.write() as session:
        for index in ("families_newest", "families_of_a_state"):
            session.execute(text(f"DROP INDEX {index}"))
        session.execute(text("ALTER TABLE families DROP COLUMN state"))
    number(catalog.db.engine, 9)
    later = Catalog(url)
    assert every(later, 2, state="queued") == [one]
    later.close()


@pytest.mark.parametrize("state", [None, "ready"])
def test_a_page_of_many_is_read_by_an_index(tmp_path: object, state: str | None) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path}/catalog.sqlite")
    make(catalog, "A")
    asked: list[tuple[str, object]] = []

    def note(
        connection: object, cursor: object, statement: str, values: object, *_: object
    ) -> None:
        asked.append((statement, values))

    event.listen(catalog.db.engine, "before_cursor_execute", note)
    catalog.family_page(state=state, before=Place(time.time(), "x"))  # type: ignore[arg-type]
    catalog.family_counts()
    event.remove(catalog.db.engine, "before_cursor_execute", note)
    listed = [one for one in asked if "families" in one[0] or "provisional" in one[0]]
    assert len(listed) >= 3
    with catalog.db.engine.connect() as connection:
        for statement, values in listed:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
            plan = [row[3] for row in rows]
            assert not [line for line in plan if "TEMP B-TREE" in line], plan
            tables = [line for line in plan if "families" in line or "provisional" in line]
            assert tables
            assert not [line for line in tables if "INDEX" not in line], plan
    catalog.close()
