"""Members, whose facts follow their digests."""

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact
from tests.catalog.conftest import new_family, new_student, rungs


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
    catalog.set_fact(family, 1, "measured", Fact.NO, "so far 16 of 64 tokens", perplexity=7.0)
    other = catalog.create_family(new_family(order="first"), new_student()).family.id
    catalog.set_members(other, rungs(), patch_order=(1,), chosen="first")
    # Figures of a part of the text stay where they are still growing.
    early = catalog.member(other, 1)
    assert (early.measured, early.measured_reason, early.perplexity) == (Fact.NO, None, None)
    shared = catalog.member(other, 0)
    assert (shared.built, shared.published, shared.repo) == (Fact.YES, Fact.NO, None)
