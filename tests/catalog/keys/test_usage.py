"""What keys used is counted once, and a quota holds whatever comes at once."""

from concurrent.futures import ThreadPoolExecutor

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.allowances import QuotaSpent
from boomerang.catalog.records.families import Planned
from tests.catalog.conftest import new_family, new_student, rungs


def test_a_quota_of_families_holds_for_any_number_at_once(catalog: Catalog) -> None:
    """And nothing is left of what was refused."""
    waits: list[float] = []

    def ask(i: int) -> str | None:
        student, key = f"{i:032x}", "alice" if i % 2 else "bob"
        try:
            made = catalog.create_family(
                new_family(student), new_student(student), rungs(), owner=key, most=3
            )
        except QuotaSpent as error:
            waits.append(error.retry_after)
            return None
        return made.family.id

    with ThreadPoolExecutor(20) as pool:
        made = [id_ for id_ in pool.map(ask, range(24)) if id_]
    assert len(made) == 6
    assert len(waits) == 18
    assert all(0 < wait <= 86_400 for wait in waits)
    assert {family.id for family in catalog.families()} == set(made)
    assert len(catalog.students()) == 6
    assert [catalog.used(key).families for key in ("alice", "bob")] == [3, 3]


def test_the_same_request_is_counted_once_for_each_key(catalog: Catalog) -> None:
    student = new_student()
    for owner, most in (("alice", 1), ("alice", 1), ("bob", 1), (None, None), ("carol", 0)):
        catalog.create_family(new_family(), student, rungs(), owner=owner, most=most)
    waiting = Planned(family=new_family(order="auto"), student=student, members=(), requests=(),
                      owner="carol", most=0)  # fmt: skip
    for _ in range(2):
        catalog.expect(waiting, 100)
    assert [catalog.used(key).families for key in ("alice", "bob", "carol")] == [1, 1, 2]
    # What it becomes once its files are hashed is the same request.
    named = new_family("f" * 32, order="auto")
    asked = catalog.waiting(waiting.family.id)
    assert asked is not None
    lease = catalog.lease_acquire(f"provisional:{asked.id}", "worker", 30.0)
    assert lease is not None
    planned = Planned(family=named, student=new_student("f" * 32), members=(), requests=())
    became = catalog.key_family(asked.id, asked.asked, [planned], lease)
    assert [one.family.id for one in became] == [named.id]
    assert catalog.used("carol").families == 2


def test_what_is_hashed_again_is_no_new_family_of_its_key(catalog: Catalog) -> None:
    plan = {"student": new_student(), "members": rungs(), "requests": ()}
    asked = Planned(family=new_family(order="first"), owner="alice", most=1, **plan)  # type: ignore[arg-type]
    waiting, _ = catalog.expect(asked, 100)
    lease = catalog.lease_acquire(f"provisional:{waiting.id}", "worker", 60)
    assert lease is not None
    named = Planned(family=new_family(order="last"), **plan)  # type: ignore[arg-type]
    assert catalog.key_family(waiting.id, waiting.asked, [named], lease)
    # Its files were touched since.
    catalog.expect(asked, 100)
    assert catalog.used("alice").families == 1


def test_bytes_are_counted_for_many_keys_at_once(catalog: Catalog) -> None:
    assert catalog.charge_bytes({"alice": 5, "bob": 7}) == {"alice": 5, "bob": 7}
    assert catalog.charge_bytes({"alice": 5}) == {"alice": 10}
    assert [one.bytes for one in catalog.usage("alice", 31)] == [10]
    assert catalog.usage("nobody", 31) == ()
