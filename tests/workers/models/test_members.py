"""Building and publishing, and what is refused, without a queue in between."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, NewFamily, NewRequest
from boomerang.catalog.records.states import Fact
from boomerang.catalog.records.students import NewStudent, Origin
from boomerang.catalog.stores.requests import resolve
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BudgetOutOfRange, HubFailure, SizeNotFound
from boomerang.hub.publish import Published
from boomerang.service.models.pairs import folder_commit
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from tests.workers.conftest import KEPT, LAYERS, write_model
from workers.assemble import assemble
from workers.context import Context
from workers.measure import measure
from workers.publish import publish
from workers.settle import settle


@pytest.fixture
def context(tmp_path: Path, url: str) -> Iterator[Context]:
    write_model(tmp_path / "teacher", LAYERS, seed=1)
    write_model(tmp_path / "student", len(KEPT), seed=2)
    kept = {"copied_teacher_layers": list(KEPT)}
    (tmp_path / "student" / "student_config.json").write_text(json.dumps(kept))
    settings = Settings(home=tmp_path / "home", database_url=url, shard_size=2000)
    opened = Context(settings, Catalog(settings.database_url), Outbox())
    yield opened
    opened.catalog.close()


def family(context: Context, *requests: NewRequest, order: str = "last", **facts: Any) -> Family:
    folder = context.settings.home.parent
    commit = folder_commit(context.catalog, Checkpoint.open(folder / "teacher"))
    student = NewStudent(
        key="f" * 32,
        teacher="teacher",
        teacher_commit=commit,
        kept=KEPT,
        layers=LAYERS,
        origin=Origin.FOLDER,
        location=str(folder / "student"),
        teacher_source=str(folder / "teacher"),
    )
    asked = NewFamily(
        name="teacher", teacher="teacher", revision=None, commit=commit,
        source=str(folder / "teacher"), student="f" * 32, order=order, **facts,
    )  # fmt: skip
    return context.catalog.create_family(asked, student, (), requests).family


def test_a_given_student_without_texts_is_settled_in_the_order_last(context: Context) -> None:
    made = family(context, NewRequest(kind="build", what="1.0G"), order="auto")
    assert measure(context, made.id) == "not measured"
    assert context.catalog.family(made.id).chosen == "last"
    assert [member.k for member in context.catalog.members(made.id)] == [0, 1]
    assert [job.model_dump() for job in context.producer.sent] == [  # type: ignore[attr-defined]
        {"family": made.id, "k": 1, "want": 1}
    ]
    assert assemble(context, made.id, 1, 1) == "built"
    assert context.catalog.requests(made.id)[0].state is Fact.YES
    digest = context.catalog.member(made.id, 1).digest
    built = Checkpoint.open(context.settings.member_folder(digest))
    assert built.parameters == context.catalog.member(made.id, 1).parameters
    card = context.settings.member_folder(digest) / "README.md"
    before = card.read_text()
    # What was measured since stands on the card; the weights are left where they are.
    context.catalog.set_fact(made.id, 1, "measured", Fact.YES, perplexity=7.25)
    assert assemble(context, made.id, 1) == "already built"
    assert "7.25" in card.read_text()
    assert "7.25" not in before


def states(context: Context, family: str, fact: str) -> list[str]:
    """What was said of a fact about its members, in order."""
    events = [e.payload for e in context.catalog.events_after(0, family) if e.kind == "member"]
    return [str(payload["state"]) for payload in events if payload["fact"] == fact]


def test_a_job_that_arrives_twice_takes_nothing_back(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was told that a member is built or published must not find it running again."""
    pushed: list[str] = []

    def push(repo: str, *_: Any, **__: Any) -> Published:
        pushed.append(repo)
        return Published(repo, "9" * 40, "", True)

    monkeypatch.setattr("workers.publish.push", push)
    requests = (
        NewRequest(kind="build", what="1.0G"),
        NewRequest(kind="publish", what="1.0G", options={"namespace": "me"}),
    )
    made = family(context, *requests)
    measure(context, made.id)
    build, send = (job.model_dump() for job in context.producer.sent)  # type: ignore[attr-defined]
    assert [assemble(context, **_named(build)) for _ in range(2)] == ["built", "already built"]
    assert [publish(context, **_named(send)) for _ in range(2)] == [
        "published", "already published",
    ]  # fmt: skip
    assert states(context, made.id, "built") == ["running", "yes", "yes"]
    assert states(context, made.id, "published") == ["running", "yes"]
    assert len(pushed) == 1


def asked(context: Context, family: str, k: int, repo: str, **options: Any) -> str:
    """What comes of it to ask for a member in a repo."""
    size = context.catalog.member(family, k).size
    request = NewRequest(kind="publish", what=size, options={"repo": repo, **options})
    context.catalog.add_requests(family, [request])
    settle(context, family)
    return publish(context, **_named(context.producer.sent[-1].model_dump()))  # type: ignore[attr-defined]


def _named(job: dict[str, Any]) -> dict[str, Any]:
    return {("family_id" if name == "family" else name): value for name, value in job.items()}


def test_klpatch_without_texts_fails_and_says_so(context: Context) -> None:
    made = family(context, NewRequest(kind="build", what="*"), order="klpatch")
    assert measure(context, made.id) == "failed"
    assert "no texts" in str(context.catalog.family(made.id).measuring_reason)
    assert context.catalog.requests(made.id)[0].state is Fact.FAILED


def test_a_damaged_source_fails_the_build_and_leaves_nothing(context: Context) -> None:
    made = family(context)
    measure(context, made.id)
    (context.settings.home.parent / "student" / "model.safetensors").write_bytes(b"no header")
    assert assemble(context, made.id, 0) == "failed"
    member = context.catalog.member(made.id, 0)
    assert member.built is Fact.FAILED
    assert "model.safetensors" in str(member.built_reason)
    assert not context.settings.members.exists() or not list(context.settings.members.iterdir())


def test_published_members_carry_repo_and_commit(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: dict[str, Any] = {}

    def push(repo: str, files: Any, **options: Any) -> Published:
        pushed[repo] = (sorted(files), options)
        return Published(repo, "9" * 40, "", True)

    monkeypatch.setattr("workers.publish.push", push)
    request = NewRequest(kind="publish", what="*", options={"namespace": "me", "private": False})
    made = family(context, request, gated=True)
    measure(context, made.id)
    jobs = [job.model_dump(exclude={"family"}) for job in context.producer.sent]  # type: ignore[attr-defined]
    for job in jobs:
        assert publish(context, made.id, **job) == "published"
    small, _ = context.catalog.members(made.id)
    assert (small.repo, small.commit) == (f"me/teacher-{small.size}", "9" * 40)
    assert context.catalog.requests(made.id)[0].state is Fact.YES
    names, options = pushed[str(small.repo)]
    assert "config.json" in names
    # A gated teacher's family is never made public, whatever was asked.
    assert options["private"] is True
    # The first card was written before the second repository was there to be named.
    again = context.producer.sent[len(jobs) :]  # type: ignore[attr-defined]
    assert [job.repo for job in again] == [small.repo]
    assert publish(context, **_named(again[0].model_dump())) == "published"
    assert settle(context, made.id) == "0 sent"


def test_a_refused_push_is_a_fact_with_its_reason(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def push(*_: Any, **__: Any) -> str:
        raise HubFailure("The Hub said 403.", fix="Check the token.")

    monkeypatch.setattr("workers.publish.push", push)
    made = family(context)
    measure(context, made.id)
    assert asked(context, made.id, 0, "me/x") == "failed"
    member = context.catalog.member(made.id, 0)
    assert (member.published, member.built) == (Fact.FAILED, Fact.NO)
    assert member.published_reason == "The Hub said 403. Check the token."


def test_a_licence_without_derivatives_is_not_published(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.publish.push", lambda *_, **__: None)
    made = family(context, license="cc-by-nc-nd-4.0")
    measure(context, made.id)
    assert asked(context, made.id, 0, "me/x") == "failed"
    assert "nd-4.0" in str(context.catalog.member(made.id, 0).published_reason)


def test_a_member_that_did_not_pass_is_published_only_by_force(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = Published("me/x", "c" * 40, "", True)
    monkeypatch.setattr("workers.publish.push", lambda *_, **__: pushed)
    made = family(context)
    measure(context, made.id)
    context.catalog.set_fact(
        made.id, 1, "measured", Fact.YES, flags=["A dip: its KL is 0.45, below it 0.41."]
    )
    assert asked(context, made.id, 1, "me/x") == "failed"
    assert "A dip: its KL is 0.45" in str(context.catalog.member(made.id, 1).published_reason)
    assert asked(context, made.id, 1, "me/x", force=True) == "published"
    assert asked(context, made.id, 0, "me/y") == "published"


def test_what_a_request_means(context: Context) -> None:
    made = family(context)
    measure(context, made.id)
    members = small, large = context.catalog.members(made.id)
    assert resolve(members, "*") == members
    assert resolve(members, small.size) == (small,)
    assert resolve(members, str(large.parameters - 1)) == (small,)
    assert resolve(members, "1B") == (large,)
    with pytest.raises(BudgetOutOfRange):
        resolve(members, "3")
    with pytest.raises(SizeNotFound):
        resolve(members, "big")


def test_a_folder_that_is_not_what_was_planned_is_not_built(context: Context) -> None:
    made = family(context)
    measure(context, made.id)
    weights = context.settings.home.parent / "teacher" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + bytes(4))
    assert assemble(context, made.id, 1) == "failed"
    assert "holds other files" in str(context.catalog.member(made.id, 1).built_reason)
    weights.write_bytes(content)
    assert assemble(context, made.id, 1) == "built"
