"""Requests upon families: kept once, opened again."""

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import NewRequest
from boomerang.catalog.records.states import Fact, StudentState
from tests.catalog.conftest import new_family, new_student, rungs


def test_requests_are_kept_once_and_opened_again_after_a_failure(catalog: Catalog) -> None:
    publish = NewRequest(kind="publish", what="2.00K", options={"namespace": "me"})
    family = catalog.create_family(new_family(), new_student(), requests=[publish]).family.id
    catalog.create_family(new_family(), new_student(), requests=[publish])
    (request,) = catalog.requests(family)
    assert (request.kind, request.what, request.state) == ("publish", "2.00K", Fact.NO)
    catalog.set_request(request.id, Fact.FAILED, "no such namespace")
    catalog.add_requests(family, [publish])
    assert [(w.id, w.state) for w in catalog.requests(family)] == [(request.id, Fact.NO)]
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_members(family, rungs(), patch_order=(0,), chosen="last")
    asked = catalog.add_requests(family, [NewRequest(kind="build", what="*")])
    assert asked.next == "settle"


def test_a_request_that_was_done_is_opened_again_where_its_members_are_not_there(
    catalog: Catalog,
) -> None:
    request = NewRequest(kind="publish", what="2.00K", options={"namespace": "me"})
    family = catalog.create_family(new_family(), new_student(), rungs(), [request]).family.id
    catalog.set_student_state("k" * 32, StudentState.READY)
    catalog.set_members(family, rungs(), patch_order=(0,), chosen="last")
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_fact(family, 1, "published", state, repo="me/x", commit="9" * 40)
    catalog.set_request(catalog.requests(family)[0].id, Fact.YES)
    assert catalog.add_requests(family, [request]).next is None
    # As older versions left it: the member is gone, the request is done.
    catalog.set_fact(family, 1, "published", Fact.FAILED, "gone")
    assert catalog.add_requests(family, [request]).next == "settle"
    assert catalog.requests(family)[0].state is Fact.NO
