"""Keys: shown once, kept by their sha256, over when they were revoked or ran out."""

import re

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.keys.keys import KeyExists, KeyNotFound, digest_of_key
from boomerang.catalog.records.keys import NOBODY, Who
from boomerang.catalog.tables import KeyRow
from boomerang.errors import BadRequest


def test_a_key_is_known_by_its_sha256_alone(catalog: Catalog) -> None:
    assert not catalog.ring().ever
    key, written = catalog.create_key("ci", "build", lasts=3600, quotas={"families": 2})
    assert re.fullmatch(r"bmr_k[a-z0-9]{11}_[A-Za-z0-9_-]{43}", written)
    assert written.split("_")[1] == key.id
    assert catalog.create_key("other", "read")[1] != written
    assert key.expires is not None
    assert key.expires - key.created == pytest.approx(3600)
    assert catalog.ring().keys[digest_of_key(written)] == key == catalog.key("ci")
    with catalog.db.read() as session:
        [row] = [one for one in session.query(KeyRow) if one.id == key.id]
        assert written not in str(vars(row))
        assert written.split("_", 2)[2] not in str(vars(row))
    assert [one.name for one in catalog.all_keys()] == ["ci", "other"]
    with pytest.raises(KeyExists):
        catalog.create_key("ci", "read")


def test_a_key_ends_once_and_closes_what_it_closed(catalog: Catalog) -> None:
    key, _ = catalog.create_key("ci", "admin")
    catalog.create_key("short", "read", lasts=1e-6)
    assert {one.id for one in catalog.ring().keys.values()} == {key.id}
    ended = catalog.revoke_key(key.id)
    assert ended.revoked is not None
    assert catalog.revoke_key("ci").revoked == ended.revoked
    ring = catalog.ring()
    assert (dict(ring.keys), ring.ever) == ({}, True)
    with pytest.raises(KeyExists):
        catalog.create_key("ci", "read")
    with pytest.raises(KeyNotFound) as caught:
        catalog.revoke_key("bmr_kabcdefghijk_secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "-x", "é", "x" * 65, "kabcdefghijk", "bmr_x", "a\0"])
def test_what_is_no_name_is_refused(catalog: Catalog, name: str) -> None:
    with pytest.raises(BadRequest):
        catalog.create_key(name, "read")


def test_what_is_no_scope_or_time_is_refused(catalog: Catalog) -> None:
    for scope, lasts in (("owner", 1.0), ("read", 0.0), ("read", -1.0), ("read", 1e12)):
        with pytest.raises(BadRequest):
            catalog.create_key("x", scope, lasts=lasts)  # type: ignore[arg-type]
    assert catalog.all_keys() == ()


def test_when_a_key_was_seen_only_grows(catalog: Catalog) -> None:
    key, _ = catalog.create_key("ci", "read")
    for at, seen in ((120.0, 120.0), (60.0, 120.0), (180.0, 180.0)):
        catalog.keys_used({key.id: at, "gone": at})
        assert catalog.key("ci").used == seen


def test_sessions_that_ended_are_forgotten_once_they_would_have(catalog: Catalog) -> None:
    with catalog.db.read() as session:
        now = session.now()
    catalog.end_session("old", now - 1)
    catalog.end_session("new", now + 1000)
    assert catalog.ring().ended == {"new"}
    catalog.end_session("new", now + 1000)
    assert catalog.ring().ended == {"new"}


def test_what_was_done_is_told_newest_first(catalog: Catalog) -> None:
    ci = Who("kaaaaaaaaaaa", "ci")
    for number in range(5):
        catalog.audit(ci, "families.create", f"f{number}", 202, trace="t", detail={"n": number})
    catalog.audit(NOBODY, "login.refused", None, 401)
    newest = catalog.deeds(limit=2)
    assert [(one.action, one.subject) for one in newest] == [
        ("login.refused", None), ("families.create", "f4"),
    ]  # fmt: skip
    rest = catalog.deeds(before=newest[-1].id, key="ci")
    assert [one.subject for one in rest] == ["f3", "f2", "f1", "f0"]
    assert (rest[0].detail, rest[0].trace, rest[0].key) == ({"n": 3}, "t", ci.id)
    assert catalog.prune_audit(1) == 0
    assert catalog.prune_audit(-1) == 6
    assert catalog.deeds() == ()
