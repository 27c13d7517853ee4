"""Who owns a family ends it; who owns it among others lets go of it."""

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.keys.owners import NotYours
from boomerang.catalog.records.families import Created, NewRequest, Planned
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.tables import StudentRow
from boomerang.errors import FamilyNotFound
from tests.catalog.conftest import new_family, new_student, rungs


def asked(catalog: Catalog, owner: str | None, order: str = "last", *what: str) -> Created:
    wanted = [NewRequest(kind="build", what=one) for one in what]
    made = new_family(order=order)
    return catalog.create_family(made, new_student(), rungs(), wanted, owner=owner)


def owners(catalog: Catalog, family: str) -> list[str | None]:
    return [one.id for one in catalog.owners([family]).get(family, ())]


def test_of_two_owners_one_lets_go_and_the_last_ends_it(catalog: Catalog) -> None:
    family = asked(catalog, "a").family.id
    assert asked(catalog, "b").family.id == family
    assert owners(catalog, family) == ["a", "b"]
    with pytest.raises(NotYours):
        catalog.cancel(family, "c")
    with pytest.raises(NotYours):
        catalog.retry(family, publishing=True, by="c")
    with pytest.raises(NotYours):
        catalog.rebuild(family, by="c")
    with pytest.raises(NotYours):
        catalog.delete_family(family, "c")
    assert catalog.cancel(family, "a") is None
    assert owners(catalog, family) == ["b"]
    assert catalog.student("k" * 32).state is StudentState.QUEUED
    with pytest.raises(NotYours):
        catalog.delete_family(family, "a")
    cancelled = catalog.cancel(family, "b")
    assert cancelled is not None
    assert cancelled.state is StudentState.CANCELLED
    # Whoever ended it may begin it again, or forget it.
    assert catalog.retry(family, publishing=False, by="b").next == "distill"
    assert catalog.delete_family(family, "b") == ("d0", "d1")
    assert catalog.owners() == {}


def test_what_another_family_waits_for_goes_on(catalog: Catalog) -> None:
    first, second = asked(catalog, "a"), asked(catalog, "b", "first")
    assert first.student.key == second.student.key
    cancelled = catalog.cancel(first.family.id, "a")
    assert cancelled is not None
    assert cancelled.state is StudentState.QUEUED
    assert catalog.delete_family(first.family.id, "a") == ()
    assert catalog.student("k" * 32).state is StudentState.QUEUED
    assert catalog.cancel(second.family.id, "b").state is StudentState.CANCELLED


def test_a_key_pays_for_nothing_that_it_has_ended(catalog: Catalog) -> None:
    def charged() -> str | None:
        with catalog.db.read() as session:
            return session.get_one(StudentRow, "k" * 32).owner

    first, second = asked(catalog, "a"), asked(catalog, "c", "first")
    asked(catalog, "b")
    catalog.cancel(first.family.id, "a")
    assert charged() == "c", "it was the next to ask for it"
    catalog.delete_family(second.family.id, "c")
    assert charged() == "b"
    catalog.cancel(first.family.id, "b")
    assert charged() == "b", "there is nobody else"
    assert asked(catalog, "d").next == "distill"
    assert charged() == "d"
    asked(catalog, "e", "first")
    assert charged() == "d"


def test_of_what_was_asked_only_ones_own_is_ended(catalog: Catalog) -> None:
    family = asked(catalog, "a", "last", "1.00K", "2.00K").family.id
    asked(catalog, "b", "last", "2.00K")
    assert catalog.cancel(family, "a") is None
    assert {one.what: one.state for one in catalog.requests(family)} == {
        "1.00K": Fact.FAILED, "2.00K": Fact.NO,
    }  # fmt: skip


def test_a_family_of_the_service_is_no_keys_alone(catalog: Catalog) -> None:
    family = asked(catalog, None).family.id
    with pytest.raises(NotYours):
        catalog.delete_family(family, "a")
    asked(catalog, "a")
    catalog.measure(family, {}, "b")
    assert owners(catalog, family) == ["a", "b"]
    assert catalog.is_shared(family, "a")
    for key in ("a", "b"):
        assert catalog.delete_family(family, key) is None
    assert catalog.family(family).id == family
    assert catalog.delete_family(family) is not None
    # So is one from before anybody was written down.
    family = asked(catalog, None).family.id
    with catalog.db.write() as session:
        session.connection().exec_driver_sql("DELETE FROM owners")
    asked(catalog, "a")
    assert catalog.delete_family(family, "a") is None
    assert catalog.family(family).id == family


def test_a_new_generation_has_the_same_owners(catalog: Catalog) -> None:
    family = asked(catalog, "a").family.id
    asked(catalog, "b")
    assert catalog.student("k" * 32).key
    made = catalog.rebuild(family, force=True, by="b")
    assert owners(catalog, made.family.id) == ["a", "b"]
    charged = {}
    with catalog.db.read() as session:
        for row in session.connection().exec_driver_sql("SELECT generation, owner FROM students"):
            charged[row[0]] = row[1]
    assert charged == {1: "a", 2: "b"}
    assert [one.family.id for one in catalog.rebuild_all("c")] == []


def test_who_waits_for_hashing_owns_what_it_becomes(catalog: Catalog) -> None:
    plan = {"student": new_student(), "members": rungs(), "requests": ()}
    provisional = new_family(order="first")
    for owner in ("a", "b"):
        waiting, _ = catalog.expect(
            Planned(family=provisional, owner=owner, **plan),  # type: ignore[arg-type]
            100,
        )
    assert owners(catalog, waiting.id) == ["a", "b"]
    with pytest.raises(NotYours):
        catalog.give_up(waiting.id, "c")
    with pytest.raises(NotYours):
        catalog.hash_again(waiting.id, "c")
    assert catalog.forget_waiting(waiting.id, "b") is False
    catalog.expect(Planned(family=provisional, owner="b", **plan), 100)  # type: ignore[arg-type]
    lease = catalog.lease_acquire(f"provisional:{waiting.id}", "worker", 60)
    assert lease is not None
    named = Planned(family=new_family(order="last"), **plan)  # type: ignore[arg-type]
    [made] = catalog.key_family(waiting.id, waiting.asked, [named], lease)
    assert owners(catalog, made.family.id) == ["a", "b"]
    assert owners(catalog, waiting.id) == []
    with catalog.db.read() as session:
        found = session.connection().exec_driver_sql("SELECT owner FROM students").scalar()
    assert found == "a"
    with pytest.raises(FamilyNotFound):
        catalog.cancel("nothing", "a")


def test_a_list_is_of_all_or_of_a_keys_own(catalog: Catalog) -> None:
    mine, theirs = asked(catalog, "a").family.id, asked(catalog, "b", "first").family.id
    assert {one.id for one in catalog.family_page(owner="a").families} == {mine}
    assert {one.id for one in catalog.family_page().families} == {mine, theirs}
    assert catalog.family_counts("a")["queued"] == 1
    assert catalog.family_counts()["queued"] == 2
