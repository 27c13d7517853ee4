"""A requester's token is kept, sealed, while something of theirs is to be published."""

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.families import NewRequest, Planned, Publication
from boomerang.catalog.records.states import Fact
from boomerang.catalog.tables import CredentialRow
from tests.catalog.conftest import new_family, new_student, rungs

MINE = Credential(id="c" * 32, sealed="sealed")
PUBLISH = NewRequest(
    kind="publish", what="2.00K", options={"namespace": "me", "credential": MINE.id}
)


def ask(catalog: Catalog) -> str:
    made = catalog.create_family(
        new_family(), new_student(), rungs(), [PUBLISH], credential=MINE
    )  # fmt: skip
    return made.family.id


def end(catalog: Catalog, family: str, state: Fact) -> None:
    request = catalog.requests(family)[0].id
    for one in (Fact.RUNNING, state):
        catalog.set_request(request, one)


@pytest.mark.parametrize("how", ["done", "failed", "cancelled", "deleted", "too old"])
def test_it_goes_with_the_request(catalog: Catalog, how: str) -> None:
    family = ask(catalog)
    assert catalog.credential(MINE.id) == "sealed"
    if how in ("done", "failed"):
        end(catalog, family, Fact.YES if how == "done" else Fact.FAILED)
    elif how == "cancelled":
        catalog.cancel(family)
    elif how == "deleted":
        catalog.delete_family(family)
    else:
        with catalog.db.write() as session:
            session.get_one(CredentialRow, MINE.id).expires = session.now() - 1
        assert catalog.credential(MINE.id) is None
        catalog.forget_credentials()
    with catalog.db.read() as session:
        assert session.get(CredentialRow, MINE.id) is None


def test_it_stays_until_the_cards_that_it_published_are_renewed(catalog: Catalog) -> None:
    family = ask(catalog)
    there = Publication(repo="me/x", family=family, private=True, card="c", credential=MINE.id)
    catalog.set_publication(there)
    for state in (Fact.RUNNING, Fact.YES):
        catalog.set_fact(family, 1, "published", state, repo="me/x")
    catalog.set_fact(family, 0, "measured", Fact.YES, perplexity=2.0)
    end(catalog, family, Fact.YES)
    assert catalog.credential(MINE.id) == "sealed"
    catalog.not_stale("me/x", catalog.stale(family)["me/x"])
    assert catalog.credential(MINE.id) is None
    # Who asks again has them looked at, and is not kept for what is done.
    assert ask(catalog) == family
    assert list(catalog.stale(family)) == ["me/x"]
    catalog.not_stale("me/x", catalog.stale(family)["me/x"])
    assert catalog.credential(MINE.id) is None


def test_it_waits_for_a_family_whose_files_are_hashed(catalog: Catalog) -> None:
    planned = Planned(
        family=new_family(source="/folder"), student=new_student(), members=rungs(),
        requests=(PUBLISH,),
    )  # fmt: skip
    waiting, _ = catalog.expect(planned, 10, MINE)
    assert catalog.credential(MINE.id) == "sealed"
    catalog.give_up(waiting.id)
    assert catalog.credential(MINE.id) is None
    catalog.expect(planned, 10, MINE)
    catalog.forget_waiting(waiting.id)
    assert catalog.credential(MINE.id) is None
    catalog.expect(planned, 10, MINE)
    lease = catalog.lease_acquire("provisional:x", "w", 30)
    assert lease is not None
    asked = catalog.waiting(waiting.id)
    assert asked is not None
    (made,) = catalog.key_family(waiting.id, list(asked.asked), [planned], lease)
    assert catalog.credential(MINE.id) == "sealed"
    end(catalog, made.family.id, Fact.YES)
    assert catalog.credential(MINE.id) is None
