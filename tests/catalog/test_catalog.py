"""Leases, events, members, reaping and hashes, on both databases."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from boomerang.catalog import setbacks
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.leases import LostLease
from boomerang.catalog.records.publications import Publication
from boomerang.catalog.records.requests import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32


def test_a_lease_has_one_holder_and_its_fence_only_grows(catalog: Catalog) -> None:
    with ThreadPoolExecutor(20) as pool:
        taken = pool.map(lambda i: catalog.lease_acquire("job", f"h{i}", 30), range(20))
    (first,) = [lease for lease in taken if lease is not None]
    assert catalog.lease_holder("job") == first.holder
    assert catalog.lease_renew(first, 30)
    catalog.lease_release(first)
    assert catalog.lease_holder("job") is None
    second = catalog.lease_acquire("job", "later", 30)
    assert second is not None
    assert second.fence == first.fence + 1
    assert not catalog.lease_renew(first, 30)
    catalog.lease_release(first)
    assert catalog.lease_holder("job") == "later"


def test_whoever_lost_a_lease_writes_nothing_more(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    old = catalog.lease_acquire(f"student:{KEY}", "slow", 0.05)
    time.sleep(0.1)
    new = catalog.lease_acquire(f"student:{KEY}", "quick", 30)
    assert old is not None
    assert new is not None
    before = catalog.last_event()
    with pytest.raises(LostLease):
        catalog.set_student_state(KEY, StudentState.READY, lease=old)
    with pytest.raises(LostLease):
        catalog.student_progress(KEY, {"step": 5}, lease=old)
    with pytest.raises(LostLease):
        catalog.set_fact(family, 0, "built", Fact.YES, lease=old)
    assert catalog.last_event() == before
    assert catalog.student(KEY).state is StudentState.QUEUED
    catalog.set_student_state(KEY, StudentState.DISTILLING, lease=new)
    assert catalog.student(KEY).started is not None


def test_a_publisher_that_lost_its_lease_says_nothing_of_a_repository(catalog: Catalog) -> None:
    old = catalog.lease_acquire("publish:d0", "a", 30)
    assert old is not None
    catalog.lease_release(old)
    catalog.lease_acquire("publish:d0", "b", 30)
    with pytest.raises(LostLease):
        catalog.claim_repo("me/x", "f", lease=old)
    with pytest.raises(LostLease):
        catalog.set_publication(
            Publication(repo="me/x", family="f", private=True, card="c"), lease=old
        )
    catalog.claim_repo("me/x", "another")
    assert catalog.publication("me/x") is None


def test_each_change_is_an_event_with_its_reason(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    other = catalog.create_family(new_family("o" * 32), new_student("o" * 32), rungs()).family.id
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    catalog.student_progress(KEY, {"step": 3, "steps": 10, "loss": 1.5, "unknown": 1})
    catalog.student_progress(KEY, {"step": 4}, event=False)
    catalog.set_student_state(KEY, StudentState.FAILED, "out of memory")
    catalog.set_fact(family, 1, "measured", Fact.YES, perplexity=2.5, kl=0.1)
    found = catalog.events_after(0, family)
    assert [event.kind for event in found] == [
        "student",
        "family",
        "student",
        "progress",
        "student",
        "member",
    ]
    assert found[4].payload["reason"] == "out of memory"
    assert found[3].payload == {"step": 3, "steps": 10, "loss": 1.5}
    assert found[5].payload | {"size": "2.00K", "fact": "measured"} == found[5].payload
    assert [event.id for event in found] == sorted(event.id for event in found)
    assert [e.kind for e in catalog.events_after(found[3].id, family)] == ["student", "member"]
    assert catalog.last_event(family) == found[-1].id
    assert len(catalog.events_after(0, other)) == 2
    assert catalog.student(KEY).step == 4


def test_a_reader_who_follows_sees_every_event(catalog: Catalog) -> None:
    catalog.create_family(new_family(), new_student())
    with ThreadPoolExecutor(8) as pool:
        writers = [
            pool.submit(catalog.student_note, KEY, "checkpoint", {"step": step})
            for step in range(60)
        ]
        seen: list[int] = []
        last = 0
        while True:
            over = all(writer.done() for writer in writers)
            for event in catalog.events_after(last):
                last = event.id
                if event.kind == "checkpoint":
                    seen.append(event.payload["step"])
            if over:
                break
    assert sorted(seen) == list(range(60))


def test_facts_follow_a_member_into_its_new_ladder(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_fact(family, 0, "built", Fact.YES)
    catalog.set_fact(family, 0, "published", Fact.RUNNING)
    catalog.set_fact(family, 0, "published", Fact.YES, repo="me/model", commit="abc")
    moved = rungs()[1:]
    catalog.set_members(family, (*rungs()[:1], *moved), patch_order=(1,), chosen="klpatch")
    small, large = catalog.members(family)
    assert (small.built, small.published, small.repo) == (Fact.YES, Fact.YES, "me/model")
    assert (large.built, large.published) == (Fact.NO, Fact.NO)
    assert catalog.family(family).patch_order == (1,)
    assert [m.family for m in catalog.find_members("1.00K")] == [family]
    catalog.set_fact(family, 1, "measured", Fact.NO, "so far 16 of 64 tokens", perplexity=7.0)
    other = catalog.create_family(new_family(order="first"), new_student()).family.id
    catalog.set_members(other, rungs(), patch_order=(1,), chosen="first")
    # Figures of a part of the text stay where they are still growing.
    early = catalog.member(other, 1)
    assert (early.measured, early.measured_reason, early.perplexity) == (Fact.NO, None, None)
    shared = catalog.member(other, 0)
    assert (shared.built, shared.published, shared.repo) == (Fact.YES, Fact.NO, None)


def test_what_nobody_holds_is_sent_again_by_one_reaper(catalog: Catalog) -> None:
    catalog.create_family(new_family(), new_student())
    assert catalog.reap(60, 3) == ()
    assert catalog.reap(0.0, 3) == (Due("distill", KEY),)
    catalog.expect_resend()
    with ThreadPoolExecutor(8) as pool:
        found = [due for some in pool.map(lambda _: catalog.reap(60, 3), range(8)) for due in some]
    assert found == [Due("distill", KEY)]
    lease = catalog.lease_acquire(f"student:{KEY}", "a", 30)
    assert catalog.reap(0.0, 3) == ()
    assert lease is not None


@pytest.mark.parametrize("what", ["distilled", "verified", "measured"])
def test_a_lost_worker_is_replaced_later_each_time_and_not_for_ever(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    clock = [1e9]
    monkeypatch.setattr(catalog.db, "now", lambda _: clock[0])
    family = catalog.create_family(new_family(), new_student()).family.id
    if what != "distilled":
        catalog.student_whole(KEY, {}, made=True)
    if what == "verified":
        catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
        catalog.set_measuring(family, Fact.NO, "no texts")
        catalog.rebuild(family)
    subject = f"family:{family}" if what == "measured" else f"student:{KEY}"
    waits = []
    for _ in range(4):
        lease = catalog.lease_acquire(subject, "one that dies", 30)
        # The first one dies before it says that it began.
        if what == "distilled" and waits:
            catalog.set_student_state(KEY, StudentState.DISTILLING, lease=lease)
        elif what == "measured" and waits:
            catalog.set_measuring(family, Fact.RUNNING, lease=lease)
        clock[0] += 31
        lost = clock[0]
        due = catalog.reap(600, 4)
        while not due and clock[0] < lost + 60:
            clock[0] += 0.5
            due = catalog.reap(600, 4)
        assert {one.job for one in due} <= {"measure" if what == "measured" else "distill"}
        waits.append(clock[0] - lost)
    assert waits == [1, 2, 4, 60]
    told = [str(event.payload.get("reason")) for event in catalog.events_after(0)]
    assert told[-1] == "its worker was lost 4 times"
    assert "its worker was lost; again in 2 s" in told


def test_measuring_and_requests_are_sent_again_too(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setbacks, "_FIRST_SECONDS", 0.1)
    request = NewRequest(kind="build", what="*")
    family = catalog.create_family(new_family(), new_student(), requests=[request]).family.id
    catalog.set_student_state(KEY, StudentState.READY)
    catalog.expect_resend()
    assert catalog.reap(60, 3) == (Due("measure", family),)
    catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
    catalog.set_measuring(family, Fact.RUNNING)
    assert catalog.reap(60, 3) == ()
    time.sleep(0.1)
    assert catalog.reap(60, 3) == (Due("measure", family),)
    # It waits in the queue now, and that is no further loss.
    assert catalog.reap(60, 3) == ()
    catalog.measure_resend(family, "stopped")
    assert catalog.reap(60, 3) == (Due("measure", family),)
    catalog.set_measuring(family, Fact.NO, "no texts")
    catalog.expect_resend()
    assert catalog.reap(60, 3) == (Due("settle", family),)


def test_a_hash_is_known_while_the_file_is_the_same(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert catalog.known_hash(path) is None
    catalog.remember_hash(path, "a" * 64)
    assert catalog.known_hash(path) == "a" * 64
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert catalog.known_hash(path) is None
    catalog.remember_hash(path, "b" * 64)
    assert catalog.known_hash(path) == "b" * 64


def test_counts_and_ping(catalog: Catalog) -> None:
    catalog.ping()
    catalog.create_family(new_family(), new_student(), rungs())
    counts = catalog.counts()
    assert (counts["families"], counts["students_queued"], counts["students_ready"]) == (1, 1, 0)
