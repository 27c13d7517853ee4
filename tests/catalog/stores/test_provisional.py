"""Families that are not keyed: kept once, given out once, lost and found, on each database."""

from dataclasses import replace

import pytest

from boomerang.catalog import setbacks
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import NewRequest, Planned
from boomerang.catalog.records.states import Keying, Lease, LostLease
from boomerang.errors import FamilyNotFound
from tests.catalog.conftest import new_family, new_student, rungs


def planned(content: str = "?", *requests: str, source: str | None = "/models/t") -> Planned:
    """What a request is turned into while its files are known as `content`."""
    return Planned(
        family=new_family(
            content, commit=content, source=source, request={"wants": list(requests)}
        ),
        student=new_student(content),
        members=rungs(),
        requests=tuple(NewRequest(kind="build", what=request) for request in requests),
    )


def held(catalog: Catalog, family: str, holder: str = "w") -> Lease:
    lease = catalog.lease_acquire(f"provisional:{family}", holder, 60)
    assert lease is not None
    return lease


def test_the_same_is_kept_once_with_all_that_is_asked(catalog: Catalog) -> None:
    first, send = catalog.expect(planned("?", "1M"), 100)
    assert send
    assert (first.state, first.done, first.total) == (Keying.HASHING, 0, 100)
    assert first.plan["family"]["commit"] == first.plan["student"]["key"] == ""
    assert {member["digest"] for member in first.plan["members"]} == {""}
    again, send = catalog.expect(planned("?", "1M"), 100)
    assert (again, send) == (first, False)
    more, send = catalog.expect(planned("?", "2M"), 100)
    assert not send
    assert [request["what"] for request in more.requests] == ["1M", "2M"]
    assert len(more.asked) == 2
    assert catalog.all_waiting() == (more,)
    assert catalog.families() == catalog.students() == ()
    other, send = catalog.expect(planned("!"), 100)
    assert send
    assert other.id != first.id
    assert catalog.counts()["families_hashing"] == 2


def test_two_of_them_become_one_family(catalog: Catalog) -> None:
    ids = [catalog.expect(planned(content, what), 1)[0].id
           for content, what in (("?", "1M"), ("!", "2M"))]  # fmt: skip
    steps = []
    for id_, what in zip(ids, ("1M", "2M"), strict=True):
        waiting = catalog.keying(id_)
        assert waiting is not None
        known = [planned("content", what)]
        made = catalog.key_family(id_, waiting.asked, known, lease=held(catalog, id_))
        steps += [created.next for created in made]
    assert steps == ["distill", None]
    (family,) = catalog.families()
    assert [catalog.family_id(id_) for id_ in (*ids, family.id)] == [family.id] * 3
    assert [request.what for request in catalog.requests(family.id)] == ["1M", "2M"]
    assert catalog.all_waiting() == ()
    told = [(event.family, event.payload["state"]) for event in catalog.events_after(0, ids[0])]
    assert told.count((ids[0], "keyed")) == told.count((ids[1], "keyed")) == 1
    assert catalog.events_after(0, ids[1]) == catalog.events_after(0, family.id)
    # It has become a family: what ends a provisional one leaves it alone.
    assert not catalog.give_up(ids[0])
    assert not catalog.forget_waiting(ids[0])
    assert catalog.hash_again(ids[0]) is None
    catalog.check_family(ids[0])
    catalog.delete_family(family.id)
    with pytest.raises(FamilyNotFound):
        catalog.check_family(ids[0])
    # Asked once more before its hashes were found, it is hashed once more and is the same.
    assert catalog.expect(planned("?", "1M"), 1)[1]
    assert catalog.family_id(ids[0]) == family.id


def test_nothing_is_keyed_that_was_given_up_or_taken_over(catalog: Catalog) -> None:
    waiting, _ = catalog.expect(planned(), 1)
    old = held(catalog, waiting.id)
    known = [planned("content")]
    catalog.lease_release(old)
    new = held(catalog, waiting.id, "another")
    for write in (
        lambda: catalog.key_family(waiting.id, waiting.asked, known, lease=old),
        lambda: catalog.set_hashed(waiting.id, 1, 1, lease=old),
        lambda: catalog.key_later(waiting.id, None, lease=old, soon=True),
        lambda: catalog.keying_failed(waiting.id, "no", lease=old),
    ):
        with pytest.raises(LostLease):
            write()
    assert catalog.key_family(waiting.id, (), known, lease=new) == ()
    assert catalog.give_up(waiting.id)
    assert catalog.key_family(waiting.id, waiting.asked, known, lease=new) == ()
    catalog.keying_failed(waiting.id, "too late", lease=new)
    found = catalog.waiting(waiting.id)
    assert found is not None
    assert (found.state, found.reason) == (Keying.CANCELLED, "cancelled on request")
    assert catalog.hash_again(waiting.id)
    assert not catalog.hash_again(waiting.id)
    assert catalog.forget_waiting(waiting.id)
    catalog.set_hashed(waiting.id, 1, 1, lease=new)
    assert catalog.key_family(waiting.id, waiting.asked, known, lease=new) == ()
    assert catalog.families() == ()


def test_a_publication_that_was_cancelled_is_none_of_a_rebuild(catalog: Catalog) -> None:
    asked = planned()
    to = {**asked.family.request, "publish": {"namespace": "me"}}
    requests = (NewRequest(kind="publish", what="*"), NewRequest(kind="build", what="*"))
    family = replace(asked.family, request=to)
    id_ = catalog.expect(replace(asked, family=family, requests=requests), 1)[0].id
    catalog.give_up(id_)
    assert catalog.hash_again(id_)
    waiting = catalog.waiting(id_)
    assert waiting is not None
    assert waiting.asked == ({**asked.family.request, "publish": None},)
    assert [request["kind"] for request in waiting.requests] == ["build"]


def test_what_nobody_holds_is_sent_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setbacks, "_FIRST_SECONDS", 0.0)
    id_ = catalog.expect(planned(), 1)[0].id
    assert catalog.reap(60, 3) == ()
    assert catalog.reap(0, 3) == (Due("key", id_),)
    lease = held(catalog, id_)
    catalog.set_hashed(id_, 1, 2, lease=lease)
    assert catalog.reap(0, 3) == ()
    # Its worker dies: it is due soon, and not for ever.
    catalog.lease_release(lease)
    assert catalog.reap(60, 3) == ()
    assert catalog.waiting(id_).reason == "its worker was lost; again in 0 s"  # type: ignore[union-attr]
    assert catalog.reap(60, 3) == (Due("key", id_),)
    assert catalog.reap(60, 3) == ()
    for due in ((Due("key", id_),), ()):
        lease = held(catalog, id_)
        catalog.set_hashed(id_, 1, 2, lease=lease)
        catalog.lease_release(lease)
        assert catalog.reap(60, 3) == ()
        assert catalog.reap(60, 3) == due
    waiting = catalog.waiting(id_)
    assert waiting is not None
    assert (waiting.state, waiting.reason) == (Keying.FAILED, "its worker was lost 3 times")
    # A queue that starts empty is filled again.
    catalog.hash_again(id_)
    catalog.expect_resend()
    assert catalog.reap(60, 3) == (Due("key", id_),)
