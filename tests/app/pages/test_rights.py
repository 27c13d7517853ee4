"""What a key may not do is not offered to it, on any page."""

from collections.abc import Callable

import httpx
import pytest
from bs4 import BeautifulSoup, Tag
from sqlalchemy import update

from boomerang.catalog.records.states import Fact
from boomerang.catalog.tables import FamilyRow
from tests.app.conftest import Front
from tests.app.pages.test_pages import HTML


@pytest.fixture
def keyed(make_front: Callable[..., Front]) -> Front:
    return make_front(
        BOOMERANG_API_KEYS="publish:owner,build:builder,read:reader", BOOMERANG_PLAY="true"
    )


def shown(front: Front, key: str, path: str) -> Tag:
    headers = HTML | {"Authorization": f"Bearer {key}"}
    answer = httpx.get(front.base + path, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    main = BeautifulSoup(answer.text, "html.parser").main
    assert main is not None
    return main


def test_before_there_is_a_family_who_may_only_read_is_not_told_to_ask_for_one(
    keyed: Front,
) -> None:
    for path in ("/", "/play"):
        reads, builds = shown(keyed, "reader", path), shown(keyed, "builder", path)
        assert "No family" in reads.text
        assert not reads.select("a[href='/new'], form[method=post], pre")
        assert builds.select("a[href='/new']")


@pytest.mark.parametrize("gated", [False, True])
def test_who_may_not_have_a_gated_teachers_sizes_is_offered_none(keyed: Front, gated: bool) -> None:
    family = keyed.ready()
    with keyed.catalog.db.write() as session:
        session.execute(update(FamilyRow).values(gated=gated))
    # What is held in memory is read again once something happened.
    keyed.catalog.set_fact(family.id, 0, "measured", Fact.YES, perplexity=7.5)
    member = keyed.catalog.members(family.id)[1]
    ways = "a[download], main a[href^='/play'], #ask"
    for path in (
        f"/families/{family.id}", f"/models/{member.size}?family={family.id}",
        f"/play?family={family.id}",
    ):  # fmt: skip
        assert shown(keyed, "builder", path).select(ways), path
        reads = shown(keyed, "reader", path)
        assert bool(reads.select(ways)) is not gated, path
        assert ("a key that may build" in reads.text) is gated, path
