"""Publishing to a Hub on a real socket: who sees it, what its card says, and whose name it has."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boomerang.card.facts import LAYERS, QUALITY
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Family, NewRequest
from boomerang.catalog.records.states import Fact
from boomerang.catalog.stores.measuring import unsettle
from boomerang.catalog.students.distillation import outdate
from boomerang.catalog.tables import FamilyRow
from boomerang.catalog.transitions import Actor
from boomerang.errors import BadName, HubFailure
from boomerang.hub.publish import Published
from boomerang.service.jobs import Publish
from tests.local_hub.fixture import LocalHub, running
from tests.local_hub.repos import OWNER
from tests.workers.models.test_members import context, family
from tests.workers.test_requests import Clock, clock, rewrite
from tests.workers.test_setbacks import fails
from workers.context import Context
from workers.measure import measure
from workers.publish import publish
from workers.settle import settle

pytestmark = pytest.mark.slow("a Hub that is away is waited for")

__all__ = ["clock", "context"]


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


def to(namespace: str, what: str = "1.0G", **options: Any) -> NewRequest:
    return NewRequest(kind="publish", what=what, options={"namespace": namespace, **options})


def done(context: Context) -> list[Publish]:
    """Do what was sent, and what that sends, until nothing is left; return all of it."""
    made = []
    while context.producer.sent:  # type: ignore[attr-defined]
        job = context.producer.sent.pop(0)  # type: ignore[attr-defined]
        options = job.model_dump(exclude={"family"})
        said = publish(context, job.family, **options)
        member = context.catalog.member(job.family, job.k)
        assert said == "published", member.published_reason
        made.append(job)
    return made


def asked(context: Context, made: Family, *requests: NewRequest) -> list[Publish]:
    context.catalog.add_requests(made.id, requests)
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
    assert {request.state for request in there.catalog.requests(made.id)} == {Fact.YES}
    # Asked once more, there is nothing to do.
    assert asked(there, made, to("me", private=False)) == []
    assert not (there.settings.home / "scratch").exists(), "nothing of a model lay on a disk"


def test_a_card_that_says_something_new_is_published_again(there: Context, hub: LocalHub) -> None:
    terms = {"LICENSE": "MIT License", "NOTICE": "Of somebody."}
    for name, text in terms.items():
        (there.settings.home.parent / "teacher" / name).write_text(text)
    made = family(there, to("me", "*"))
    measure(there, made.id)
    done(there)
    small, large = there.catalog.members(made.id)
    card = hub.files(str(small.repo))["README.md"].decode()
    assert f"]({LAYERS})" in card
    files = hub.files(str(small.repo))
    assert {name: files[name].decode() for name in terms} == terms
    assert hub.files(str(small.repo))[LAYERS].startswith(b"\x89PNG")
    assert QUALITY not in hub.files(str(small.repo))
    # The first of them was published before anybody knew where the last one would be.
    assert str(large.repo) in card
    assert settle(there, made.id) == "0 sent"
    weights = _weights(hub, str(small.repo))
    for member, perplexity in ((small, 7.25), (large, 5.5)):
        figures = {"perplexity": perplexity, "kl": 0.5, "errors": {"perplexity": 0.125}}
        there.catalog.set_fact(made.id, member.k, "measured", Fact.YES, **figures)
    settle(there, made.id)
    assert {job.repo for job in done(there)} == {small.repo, large.repo}
    for member in there.catalog.members(made.id):
        files = hub.files(str(member.repo))
        assert "7.25\xa0±\xa00.12" in files["README.md"].decode()
        assert files[QUALITY].startswith(b"\x89PNG")
        assert (member.published, member.published_reason) == (Fact.YES, None)
    assert _weights(hub, str(small.repo)) == weights
    assert settle(there, made.id) == "0 sent"


def test_what_a_repository_holds_is_written_down(there: Context, hub: LocalHub) -> None:
    made = family(there, to("me", "*"))
    measure(there, made.id)
    done(there)
    for member in there.catalog.members(made.id):
        repo = str(member.repo)
        kept, head = there.catalog.publication(repo), hub.store.repos[repo].at("main")
        assert kept is not None
        assert (kept.commit, member.commit) == (head.oid, head.oid)
        files = {n: blob.sha256 for n, blob in head.files.items() if n != ".gitattributes"}
        assert kept.files == files
    # Without another title they are in the family's own collection.
    (collection,) = hub.store.collections.values()
    assert (collection["title"], len(collection["items"])) == ("teacher", 2)
    told = [e.payload for e in there.catalog.events_after(0, made.id) if e.kind == "publishing"]
    assert {one["repo"] for one in told} == {m.repo for m in there.catalog.members(made.id)}
    assert all(0 <= one["done"] <= one["of"] for one in told)
    assert told[-1]["done"] == told[-1]["of"]


def test_a_new_card_travels_alone(there: Context, hub: LocalHub) -> None:
    made = family(there, to("me", collection=""))
    measure(there, made.id)
    (first,) = done(there)
    assert not hub.store.collections
    arrived = len(hub.traffic.arrivals)
    # By hand, since it was asked for.
    hub.store.repos[first.repo].show(False, False)
    there.catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    settle(there, made.id)
    done(there)
    assert {one.name for one in hub.traffic.arrivals[arrived:]} == {"README.md"}
    assert not hub.store.repos[first.repo].private
    assert not hub.store.collections


def test_publishing_ends_with_its_worker_and_goes_on(there: Context, hub: LocalHub) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (job,) = there.producer.sent  # type: ignore[attr-defined]
    options = job.model_dump(exclude={"family"})
    hub.layer.latency = 0.3
    there.stopping.set()
    assert publish(there, made.id, **options) == "stopped"
    member = there.catalog.member(made.id, job.k)
    assert (member.published, member.published_reason) == (Fact.NO, "the worker was stopped")
    assert hub.commits(job.repo) == []
    hub.layer.latency = 0.0
    there.stopping.clear()
    assert there.catalog.reap(600, 3) == (Due("settle", made.id),)
    assert len(done(there)) == 1
    assert there.catalog.member(made.id, job.k).published_reason is None


def _weights(hub: LocalHub, repo: str) -> dict[str, bytes]:
    return {name: data for name, data in hub.files(repo).items() if name.endswith(".safetensors")}


@pytest.mark.long("a Hub that is away is waited for")
def test_a_card_waits_for_a_hub_that_is_away(there: Context, hub: LocalHub, clock: Clock) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    there.catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    away = replace(there, settings=there.settings.model_copy(
        update={"hub_endpoint": "http://127.0.0.1:1"}))  # fmt: skip
    settle(away, made.id)
    job = away.producer.sent.pop()  # type: ignore[attr-defined]
    assert publish(away, made.id, **job.model_dump(exclude={"family"})) == "again"
    member = there.catalog.member(made.id, first.k)
    assert member.published is Fact.YES
    assert "Hub" in str(member.published_reason)
    # It waits in the catalog, for as long as it was said.
    assert settle(there, made.id) == "0 sent"
    assert there.catalog.reap(600, 3) == ()
    clock.now += 2
    assert there.catalog.reap(600, 3) == (Due("settle", made.id),)
    settle(there, made.id)
    assert [job.repo for job in done(there)] == [first.repo]
    assert there.catalog.member(made.id, first.k).published_reason is None
    clock.now += 10**6
    assert there.catalog.reap(0, 3) == ()


@pytest.mark.long("a Hub that is away is waited for")
def test_a_card_that_is_refused_is_left_until_it_says_something_else(
    there: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    figures = there.catalog.set_fact
    figures(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    settle(there, made.id)
    with monkeypatch.context() as refusing:
        refusing.setattr("workers.publish.push", fails(1, print, HubFailure("Status 403.")))
        job = there.producer.sent.pop()  # type: ignore[attr-defined]
        assert publish(there, made.id, **job.model_dump(exclude={"family"})) == "failed"
    member = there.catalog.member(made.id, first.k)
    assert (member.published, member.published_reason) == (Fact.YES, "Status 403.")
    assert there.catalog.reap(0, 3) == ()
    figures(made.id, first.k, "measured", Fact.YES, perplexity=7.5)
    assert there.catalog.reap(0, 3) == (Due("settle", made.id),)


def test_a_card_whose_message_or_publisher_is_lost_is_published_all_the_same(
    there: Context, hub: LocalHub, clock: Clock
) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    digest, catalog = there.catalog.member(made.id, first.k).digest, there.catalog
    catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    for _ in range(2):
        # Neither who settles nor who publishes comes to an end.
        clock.now += 61
        assert catalog.reap(60, 3) == (Due("settle", made.id),)
        settle(there, made.id)
        there.producer.sent.clear()  # type: ignore[attr-defined]
        catalog.lease_acquire(f"publish:{digest}", "one that dies", 30)
        assert settle(there, made.id) == "0 sent"
        clock.now += 31
        assert catalog.reap(60, 3) == ()
        assert settle(there, made.id) == "0 sent"
    clock.now += 61
    assert catalog.reap(60, 3) == (Due("settle", made.id),)
    catalog.lease_acquire(f"publish:{digest}", "one that dies", 30)
    clock.now += 31
    assert catalog.reap(60, 3) == ()
    member = catalog.member(made.id, first.k)
    assert (member.published, str(member.published_reason)[:19]) == (
        Fact.YES,
        "its worker was lost",
    )
    clock.now += 10**6
    assert catalog.reap(60, 3) == ()
    # What is new after that is tried as often again.
    catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.5)
    settle(there, made.id)
    assert len(done(there)) == 1
    assert "7.5" in hub.files(first.repo)["README.md"].decode()


def test_what_changes_while_a_card_is_published_is_not_forgotten(
    there: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = family(there, to("me"))
    measure(there, made.id)
    (first,) = done(there)
    there.catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.25)
    settle(there, made.id)
    (job,) = there.producer.sent  # type: ignore[attr-defined]

    def push(repo: str, *_: Any, **__: Any) -> Published:
        there.catalog.set_fact(made.id, first.k, "measured", Fact.YES, perplexity=7.5)
        return Published(repo, "9" * 40, "", True)

    monkeypatch.setattr("workers.publish.push", push)
    assert publish(there, made.id, **job.model_dump(exclude={"family"})) == "published"
    assert there.catalog.reap(0, 3) == (Due("settle", made.id),)


@pytest.mark.parametrize("force", [False, True])
def test_a_student_that_is_made_again_is_published_again_where_it_passes(
    there: Context, hub: LocalHub, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    # As with a student of ours, whose name says nothing of its bytes.
    monkeypatch.setattr("boomerang.service.models.pairs.check_unchanged", lambda *_: None)
    catalog, made = there.catalog, family(there, to("me", "2.5K", force=force))
    measure(there, made.id)
    (first,) = done(there)
    before = _weights(hub, first.repo)
    rewrite(there, seed=3)
    with catalog.db.write() as session:
        outdate(session, made.id, "its student is new")
        unsettle(session, session.get_one(FamilyRow, made.id), None, Actor.WORKER,
                 anew=True)  # fmt: skip
    # Nobody knows yet how good it is.
    assert catalog.reap(0, 3) == (Due("measure", made.id),)
    assert publish(there, made.id, **first.model_dump(exclude={"family", "want"})) == "not settled"
    catalog.set_fact(made.id, first.k, "measured", Fact.YES, flags=["A dip."])
    measure(there, made.id)
    (again,) = there.producer.sent  # type: ignore[attr-defined]
    said = publish(there, made.id, **again.model_dump(exclude={"family"}))
    member = catalog.member(made.id, first.k)
    if force:
        assert (said, member.published_reason) == ("published", None)
        assert _weights(hub, first.repo) != before
    else:
        assert (said, member.published) == ("failed", Fact.YES)
        assert "did not pass: A dip." in str(member.published_reason)
        assert _weights(hub, first.repo) == before
    assert catalog.reap(0, 3) == ()


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

    from boomerang.catalog.tables import NameRow

    first, second = family(context), family(context, order="first")
    before = context.catalog.names()
    with context.catalog.db.write() as session:
        session.execute(delete(NameRow))
    again = Catalog(context.settings.database_url)
    assert again.names() == before == context.catalog.names()
    again.delete_family(first.id)
    assert again.names() == {second.id: before[second.id]}
    again.close()
