"""The measuring of families, and the results of tasks."""

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact, StudentState
from tests.catalog.conftest import new_family, new_student, result, rungs


def test_tasks_asked_for_later_are_measured_once(catalog: Catalog) -> None:
    def ask(**tasks: int | None) -> str | None:
        return catalog.create_family(new_family(tasks=tasks), new_student(), rungs()).next

    made = catalog.create_family(new_family(), new_student(), rungs()).family
    assert made.tasks is None
    assert ask(piqa=None) is None
    assert catalog.family(made.id).tasks == {"piqa": None}
    catalog.set_student_state(new_student().key, StudentState.READY)
    # While they are being measured the worker will see what was added; after that a job is sent.
    catalog.set_measuring(made.id, Fact.RUNNING)
    assert ask(arc_easy=10) is None
    for k in (0, 1):
        catalog.set_task(made.id, k, result("piqa"))
        catalog.set_task(made.id, k, result("arc_easy", 10))
    catalog.set_measuring(made.id, Fact.YES)
    assert ask(arc_easy=10, piqa=None) is None
    assert ask(arc_easy=20) == "measure"
    assert (catalog.family(made.id).measuring, ask(arc_easy=20)) == (Fact.NO, None)
    catalog.set_measuring(made.id, Fact.RUNNING)
    for k in (0, 1):
        catalog.set_task(made.id, k, result("arc_easy", 20, failed="no data" if k else None))
    catalog.set_measuring(made.id, Fact.YES)
    # One that failed is tried again where it is asked for again, and not for something else.
    assert catalog.create_family(new_family(), new_student(), rungs()).next is None
    assert ask(piqa=None) == "measure"


def test_results_of_tasks_are_those_of_the_composition(catalog: Catalog) -> None:
    first = catalog.create_family(new_family(order="last"), new_student(), rungs()).family.id
    other = catalog.create_family(new_family(order="first"), new_student(), rungs()).family.id
    catalog.set_task(first, 1, result("piqa"))
    catalog.set_task(other, 1, result("piqa", failed="no data", metrics=[]))
    catalog.set_task(other, 0, result("arc_easy", 3))
    assert catalog.task_results(new_student().key) == {
        "bbb+ttt": {"piqa": result("piqa")}, "sss+sss": {"arc_easy": result("arc_easy", 3)},
    }  # fmt: skip
    assert catalog.task_results("nobody") == {}
    # A ladder that is settled anew keeps them.
    catalog.set_members(first, rungs(), patch_order=(0,), chosen="last")
    assert catalog.member(first, 1).tasks == {"piqa": result("piqa")}
    said = catalog.events_after(0, first)
    assert [(e.payload["size"], e.payload["name"]) for e in said if e.kind == "task"] == [
        ("2.00K", "piqa")
    ]


def test_a_measuring_that_was_cancelled_can_be_asked_for_again(catalog: Catalog) -> None:
    family = catalog.create_family(new_family(), new_student(), rungs()).family.id
    catalog.set_student_state("k" * 32, StudentState.READY)
    lease = catalog.lease_acquire(f"family:{family}", "a", 30)
    catalog.set_measuring(family, Fact.RUNNING, lease=lease)
    catalog.cancel(family)
    assert catalog.family(family).cancel
    catalog.create_family(new_family(), new_student(), rungs())
    catalog.measure_cancelled(family, "cancelled on request", lease=lease)
    now = catalog.family(family)
    assert (now.measuring, now.settled, now.cancel) == (Fact.NO, False, None)
