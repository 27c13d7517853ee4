"""Publishing to a Hub on a real socket: who sees it, what its card says, and whose name it has."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boomerang.errors import BadName
from boomerang.service.catalog import Catalog
from boomerang.service.jobs import Publish
from boomerang.service.records import Fact, Family, NewWant
from tests.hub.fixture import LocalHub, running
from tests.hub.repos import OWNER
from tests.workers.test_members import context, family
from workers.context import Context
from workers.measure import measure
from workers.publish import publish
from workers.settle import settle

__all__ = ["context"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    # Nothing of a model's size may lie where the system keeps what is passing.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "full"))
    with running(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def there(context: Context, hub: LocalHub) -> Context:
    settings = context.settings.model_copy(update={"hub_endpoint": hub.url})
    return replace(context, settings=settings)


def to(namespace: str, what: str = "1.0G", **options: Any) -> NewWant:
    return NewWant(kind="publish", what=what, options={"namespace": namespace, **options})


def done(context: Context) -> list[Publish]:
    """Do what was sent, and what that sends, until nothing is left; return all of it."""
    made = []
    while context.producer.sent:  # type: ignore[attr-defined]
        job = context.producer.sent.pop(0)  # type: ignore[attr-defined]
        options = job.model_dump(exclude={"family"})
        assert publish(context, job.family, **options) == "published"
        made.append(job)
    return made


def asked(context: Context, made: Family, *wants: NewWant) -> list[Publish]:
    context.catalog.add_wants(made.id, wants)
    settle(context, made.id)
    return done(context)


def repos(hub: LocalHub) -> dict[str, bool]:
    return {id_: repo.private for id_, repo in hub.store.repos.items()}


def test_who_sees_it_follows_the_request(there: Context, hub: LocalHub) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    assert repos(hub) == {first.repo: True}
    commits = len(hub.store.repos[first.repo].history("main"))
    asked(there, made, to("me", private=False))
    assert repos(hub) == {first.repo: False}
    assert len(hub.store.repos[first.repo].history("main")) == commits
    assert {want.state for want in there.catalog.wants(made.id)} == {Fact.YES}
    # Asked once more, there is nothing to do.
    assert asked(there, made, to("me", private=False)) == []
    assert not (there.settings.home / "scratch").exists() or not list(
        (there.settings.home / "scratch").iterdir()
    )


def test_a_card_that_says_something_new_is_published_again(there: Context, hub: LocalHub) -> None:
    made = family(there, to("me", "*"))
    measure(there, made.id)
    done(there)
    small, large = there.catalog.members(made.id)
    card = hub.files(str(small.repo))["README.md"].decode()
    # The first of them was published before anybody knew where the last one would be.
    assert str(large.repo) in card
    assert settle(there, made.id) == "0 sent"
    weights = _weights(hub, str(small.repo))
    there.catalog.set_fact(made.id, small.k, "measured", Fact.YES, perplexity=7.25, kl=0.5)
    settle(there, made.id)
    assert {job.repo for job in done(there)} == {small.repo, large.repo}
    for member in there.catalog.members(made.id):
        assert "7.25" in hub.files(str(member.repo))["README.md"].decode()
        assert (member.published, member.published_reason) == (Fact.YES, None)
    assert _weights(hub, str(small.repo)) == weights
    assert settle(there, made.id) == "0 sent"


def _weights(hub: LocalHub, repo: str) -> dict[str, bytes]:
    return {name: data for name, data in hub.files(repo).items() if name.endswith(".safetensors")}


def test_a_card_that_cannot_be_published_again_leaves_what_is_there(
    there: Context, hub: LocalHub
) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    there.catalog.set_fact(made.id, 0, "measured", Fact.YES, perplexity=7.25)
    away = replace(there, settings=there.settings.model_copy(
        update={"hub_endpoint": "http://127.0.0.1:1"}))  # fmt: skip
    settle(away, made.id)
    job = away.producer.sent.pop()  # type: ignore[attr-defined]
    assert publish(away, made.id, **job.model_dump(exclude={"family"})) == "failed"
    member = there.catalog.member(made.id, first.k)
    assert member.published is Fact.YES
    assert "Hub" in str(member.published_reason)
    settle(there, made.id)
    assert [job.repo for job in done(there)] == [first.repo]


def test_a_name_and_a_repository_are_given_once(there: Context, hub: LocalHub) -> None:
    first, second = family(there, to("me")), family(there, order="first")
    for made in (first, second):
        measure(there, made.id)
    (job,) = done(there)
    names = there.catalog.names()
    assert names[first.id] == "teacher"
    assert names[second.id] == f"teacher-{second.id[:6]}"
    before = hub.store.repos[job.repo].at("main").oid
    there.catalog.delete_family(first.id)
    assert there.catalog.names() == {second.id: names[second.id]}
    (other,) = asked(there, second, to("me"))
    assert other.repo != job.repo
    assert hub.store.repos[job.repo].at("main").oid == before
    # Not even where it is named.
    with pytest.raises(BadName, match=first.id):
        there.catalog.claim_repo(job.repo, second.id)
    # It waits for its own family.
    assert family(there).id == first.id
    assert there.catalog.names()[first.id] == "teacher"


def test_a_name_that_was_never_published_is_free_again(context: Context) -> None:
    first, second = family(context), family(context, order="first")
    context.catalog.delete_family(first.id)
    third = family(context, order="klpatch")
    assert context.catalog.names() == {
        second.id: f"teacher-{second.id[:6]}", third.id: "teacher",
    }  # fmt: skip


def test_names_from_before_they_were_kept_stay(context: Context, tmp_path: Path) -> None:
    from sqlalchemy import delete

    from boomerang.service.models import NameRow

    first, second = family(context), family(context, order="first")
    before = context.catalog.names()
    with context.catalog.db.write() as session:
        session.execute(delete(NameRow))
    again = Catalog(context.settings.database_url)
    assert again.names() == before == context.catalog.names()
    again.delete_family(first.id)
    assert again.names() == {second.id: before[second.id]}
    again.close()
