"""Which layers a student keeps: measured by whoever, pinned once, and its families follow."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, NewMember, NewRequest
from boomerang.catalog.records.states import LostLease
from boomerang.catalog.records.students import NewStudent
from boomerang.catalog.stores.families import LayersPinned
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
SUBJECT = f"student:{KEY}"


def measured() -> NewStudent:
    return new_student(map_rule="similarity")


def ladder(family: Family) -> Sequence[NewMember]:
    """A final ladder: the smaller size is another one, the larger is as it was."""
    small, large = rungs()
    return (replace(small, size="1.10K", digest="e0", parameters=1100), large)


def test_the_first_map_is_pinned_and_the_ladder_is_final(catalog: Catalog) -> None:
    asked = [NewRequest(kind="build", what=what) for what in ("1.00K", "1.50K", "2.00K")]
    made = catalog.create_family(new_family(), measured(), rungs(), asked)
    other = catalog.create_family(new_family(order="first"), measured(), rungs())
    assert made.student.provisional
    lease = catalog.lease_acquire(SUBJECT, "me", 60)
    assert lease is not None
    pinned = catalog.pin_map(KEY, (0, 1, 3), None, ladder, lease=lease)
    assert (pinned.kept, pinned.pinned, pinned.provisional) == ((0, 1, 3), True, False)
    for family in (made.family.id, other.family.id):
        assert [m.size for m in catalog.members(family)] == ["1.10K", "2.00K"]
        assert catalog.family(family).replaced == {"1.00K": 1000}
        assert catalog.family(family).patch_order is None
    # A size that is no more is what its parameters buy, or the smallest that there is.
    assert [w.what for w in catalog.requests(made.family.id)] == ["1100", "1.50K", "2.00K"]
    events = catalog.events_after(0, made.family.id)
    (told,) = [event.payload for event in events if event.kind == "map"]
    assert told == {"rule": "similarity", "kept": [0, 1, 3], "layers": 4, "reason": None}
    assert [e.payload for e in events if e.kind == "members"] == [{"count": 2, "ladder": "final"}]
    again = catalog.pin_map(KEY, (0, 2, 3), "luck", ladder, lease=lease)
    assert (again.kept, again.map_reason) == ((0, 1, 3), None)


def test_of_two_workers_that_measured_something_else_the_holder_pins(catalog: Catalog) -> None:
    catalog.create_family(new_family(), measured(), rungs())
    late = catalog.lease_acquire(SUBJECT, "late", 0.0)
    assert late is not None
    now = catalog.lease_acquire(SUBJECT, "now", 60)
    assert now is not None
    with pytest.raises(LostLease):
        catalog.pin_map(KEY, (0, 2, 3), None, ladder, lease=late)
    assert catalog.student(KEY).provisional
    assert catalog.pin_map(KEY, (0, 1, 3), None, ladder, lease=now).kept == (0, 1, 3)
    with pytest.raises(LostLease):
        catalog.pin_map(KEY, (0, 2, 3), None, ladder, lease=late)
    assert catalog.student(KEY).kept == (0, 1, 3)


def test_a_family_that_was_planned_before_the_map_was_pinned_is_planned_again(
    catalog: Catalog,
) -> None:
    made = catalog.create_family(new_family(), measured(), rungs())
    lease = catalog.lease_acquire(SUBJECT, "me", 60)
    assert lease is not None
    pinned = catalog.pin_map(KEY, (0, 1, 3), "too little text", ladder, lease=lease)
    with pytest.raises(LayersPinned):
        catalog.create_family(new_family(order="first"), measured(), rungs())
    # What is there already has the right ladder.
    assert not catalog.create_family(new_family(), measured(), rungs()).created
    known = replace(measured(), kept=pinned.kept, pinned=True)
    assert catalog.create_family(new_family(order="first"), known, ladder(made.family)).created
    # A later generation keeps what was measured.
    new = catalog.rebuild(made.family.id, force=True).student
    assert (new.kept, new.pinned, new.map_reason) == ((0, 1, 3), True, "too little text")
