"""Events: one for each change, and none that a reader misses."""

from concurrent.futures import ThreadPoolExecutor

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from tests.catalog.conftest import new_family, new_student, rungs
from tests.catalog.test_catalog import KEY


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
        "family",
        "member",
    ]
    assert found[4].payload["reason"] == "out of memory"
    assert found[3].payload == {"step": 3, "steps": 10, "loss": 1.5}
    assert found[5].payload == {"state": "failed", "reason": "out of memory"}
    assert found[6].payload | {"size": "2.00K", "fact": "measured"} == found[6].payload
    assert [event.id for event in found] == sorted(event.id for event in found)
    assert [e.kind for e in catalog.events_after(found[4].id, family)] == ["family", "member"]
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
