"""What is to be told, to whom, and until when."""

import time

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.hooks.outbox import DAY, LISTENERS, Notice
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Created, NewRequest, Planned
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.tables import NoticeRow
from boomerang.errors import BadRequest
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32
BUILD = NewRequest(kind="build", what="*")


def ask(catalog: Catalog, *urls: str | None, order: str = "last") -> Created:
    for url in urls:
        family = new_family(order=order)
        made = catalog.create_family(family, new_student(), rungs(), (BUILD,), notify=url)
    return made


def told(catalog: Catalog, host: str) -> list[str]:
    """What a host is to be told, in order; it has taken it then."""
    found: list[Notice] = []
    while (one := catalog.next_notice(host)) is not None:
        found.append(one)
        catalog.notice_taken(one.id)
    return [f"{one.kind} {one.data.get('what', '')}".strip() for one in found]


def ready(catalog: Catalog, family: str) -> None:
    catalog.student_whole(KEY, {"model.safetensors": "a" * 64}, made=True)
    catalog.set_members(family, rungs(), patch_order=(1,), chosen="last")
    catalog.set_measuring(family, Fact.NO, "no text")


def test_each_listener_is_told_what_becomes_of_a_family(catalog: Catalog) -> None:
    id_ = ask(catalog, "https://a/1", "https://b/1?key=x", "https://a/1", None).family.id
    other = ask(catalog, "https://c/", order="first").family.id
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    assert catalog.notice_hosts() == ()
    catalog.set_student_state(KEY, StudentState.FAILED, "out of memory")
    assert catalog.notice_hosts() == ("a", "b", "c")
    first = catalog.next_notice("b")
    assert first is not None
    assert (first.kind, first.family, first.url) == ("family.failed", id_, "https://b/1?key=x")
    assert first.data == {
        "id": id_, "name": "Teacher-4B", "teacher": "org/Teacher-4B", "commit": "c" * 40,
        "reason": "out of memory",
    }  # fmt: skip
    assert [told(catalog, host) for host in "abc"] == [["family.failed"]] * 3
    # Asked again, ready, and done.
    ask(catalog, None)
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    ready(catalog, id_)
    for member in rungs():
        catalog.set_fact(id_, member.k, "built", Fact.YES)
    (request,) = catalog.requests(id_)
    catalog.set_request(request.id, Fact.RUNNING)
    catalog.set_request(request.id, Fact.YES)
    assert told(catalog, "a") == ["family.ready", "build.done *"]
    # The same student, of a family that somebody puts an end to.
    catalog.cancel(other)
    assert told(catalog, "c") == ["build.failed *", "family.cancelled"]
    states = [e.payload["state"] for e in catalog.events_after(0, other) if e.kind == "family"]
    assert states == ["created", "failed", "cancelled"]
    # Who asks when all is done is told so at once; who asked before hears nothing new.
    assert told(catalog, "b") == ["family.ready", "build.done *"]
    ask(catalog, "https://d/")
    assert [told(catalog, host) for host in "ad"] == [[], ["family.ready", "build.done *"]]
    # So are those of a family that is made beside it.
    beside = catalog.rebuild(id_, force=True)
    catalog.set_student_state(beside.student.key, StudentState.FAILED, "no")
    assert [told(catalog, host) for host in "abd"] == [["family.failed"]] * 3
    for number in range(LISTENERS - 3):
        ask(catalog, f"https://e/{number}")
    with pytest.raises(BadRequest, match=f"{LISTENERS} addresses"):
        ask(catalog, "https://f/")
    assert ask(catalog, "https://a/1").family.id == id_
    catalog.delete_family(id_)
    ask(catalog, "https://f/")


def test_who_waits_for_a_family_to_be_hashed_is_told_of_the_one_it_becomes(
    catalog: Catalog,
) -> None:
    student, url = new_student(teacher_commit="p"), "https://a/"
    family = new_family(commit="p", source="/models/teacher")
    planned = Planned(family=family, student=student, members=rungs(), requests=(), notify=url)
    waiting, _ = catalog.expect(planned, 10)
    catalog.give_up(waiting.id)
    assert told(catalog, "a") == ["family.cancelled"]
    catalog.expect(planned, 10)
    lease = catalog.lease_acquire(f"provisional:{waiting.id}", "me", 60)
    assert lease is not None
    whole = Planned(family=new_family(), student=new_student(), members=rungs(), requests=())
    now = catalog.keying(waiting.id)
    assert now is not None
    made, *_ = catalog.key_family(waiting.id, now.asked, [whole] * len(now.asked), lease)
    catalog.set_student_state(KEY, StudentState.DISTILLING)
    ready(catalog, made.family.id)
    assert told(catalog, "a") == ["family.ready"]


def test_a_notice_waits_longer_each_time_and_is_given_up_after_a_day(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(catalog.db, "now", lambda _: now)
    ask(catalog, "https://a/1", "https://b/")
    catalog.set_student_state(KEY, StudentState.FAILED)
    ask(catalog, "https://a/2")
    catalog.set_student_state(KEY, StudentState.FAILED)

    def due() -> bool:
        return Due("tell", "") in catalog.reap(60, 3)

    # However many there are, there is one job, and it is sent again where it was lost.
    assert catalog.reap(60, 3).count(Due("tell", "")) == 1
    assert not due()
    now += 61
    assert due()
    # A worker that has died at it is replaced at once; one that has not is left alone.
    lease = catalog.lease_acquire("notices:a", "me", 10)
    other = catalog.lease_acquire("notices:b", "me", 1000)
    assert lease is not None
    assert other is not None
    now += 9
    assert not due()
    now += 2
    assert due()
    catalog.lease_release(other)
    assert [catalog.next_notice(host) is not None for host in "ab"] == [True, True]
    one, waits = catalog.next_notice("a"), []
    assert one is not None
    assert told(catalog, "b") == ["family.failed"] * 2
    # Nobody answers at a: what else it is to be told waits as long.
    while True:
        catalog.notice_again(one.id, "It did not answer.", away=True)
        if any(event.kind == "untold" for event in catalog.events_after(0)):
            break
        with catalog.db.read() as session:
            due_at = session.get_one(NoticeRow, one.id).due
        assert due_at is not None
        waits.append(due_at - now)
        now = due_at - 0.5
        assert (due(), catalog.next_notice("a")) == (False, None)
        now = due_at
        assert due()
    assert waits[:4] == [2, 4, 8, 16]
    assert max(waits) == 3600
    assert DAY <= now - one.created < DAY + 3700
    (given_up,) = [event for event in catalog.events_after(0) if event.kind == "untold"]
    assert given_up.family == one.family
    assert given_up.payload == {
        "notice": "family.failed", "host": "a", "reason": "It did not answer.",
    }  # fmt: skip
