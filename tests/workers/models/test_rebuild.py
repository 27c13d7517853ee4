"""What a rebuild looks at beside the student, what it mends of that, and what it says."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from boomerang.catalog.records.families import Family, NewRequest
from boomerang.catalog.records.rebuilds import Rebuild as Record
from boomerang.catalog.records.states import Fact
from boomerang.catalog.tables import RequestRow, StudentRow
from boomerang.checkpoint.files import RECORD
from boomerang.checkpoint.table import Checkpoint
from boomerang.service.jobs import Assemble, Publish, Rebuild, Settle
from boomerang.service.models.pairs import folder_commit
from tests.local_hub.fixture import LocalHub
from tests.workers.conftest import Backend, wait_for
from tests.workers.models.test_members import context
from tests.workers.models.test_members import family as planned
from tests.workers.models.test_publications import hub, there, to
from workers.assemble import assemble
from workers.context import Context
from workers.distill import distill
from workers.measure import measure
from workers.models.rebuild import rebuild
from workers.publish import publish
from workers.settle import settle

pytestmark = pytest.mark.slow("every kind of damage is made, and found on a Hub or on disk")

KEY = "a" * 32

__all__ = ["context", "hub", "there"]


def family(context: Context, *requests: NewRequest) -> Family:
    """A family with a student that was given, at what stands for its commit."""
    made = planned(context, *requests)
    folder = context.settings.home.parent / "student"
    commit = folder_commit(context.catalog, Checkpoint.open(folder))
    with context.catalog.db.write() as session:
        session.get_one(StudentRow, made.student).revision_commit = commit
    return made


def work_off(context: Context, made: Family) -> None:
    """Do what was sent, and what that sends, as workers do."""
    while context.producer.sent:  # type: ignore[attr-defined]
        job = context.producer.sent.pop(0)  # type: ignore[attr-defined]
        match job:
            case Settle():
                settle(context, made.id)
            case Assemble():
                assemble(context, made.id, job.k, job.want)
            case Publish():
                publish(context, made.id, **job.model_dump(exclude={"family"}))


def rebuilt(context: Context, made: Family) -> Record:
    """Ask for a rebuild, and do all that it takes; return it as it ended."""
    asked = context.catalog.rebuild(made.id)
    distill(context, asked.student.key)
    for _ in range(5):
        measure(context, made.id)
        rebuild(context, made.id)
        work_off(context, made)
        found = context.catalog.rebuild_numbered(made.id, asked.rebuild)
        if not found.open:
            return found
    raise AssertionError(f"it does not end: {found}")


def said(found: Record, *states: str) -> dict[str, tuple[str, str | None, str | None]]:
    """What a report says of things that are not simply whole."""
    return {
        key: (item.state, item.found, item.reason)
        for key, item in found.items.items()
        if (item.state in states if states else item.state != "whole")
    }


def flip(path: Path) -> None:
    """Change one bit at the end: size and time of modification stay."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.long("every kind of damage is made, and found on a Hub or on disk")
def test_whatever_is_wrong_with_a_folder_is_found_and_it_is_built_again(context: Context) -> None:
    made = family(context, NewRequest(kind="build", what="*"))
    measure(context, made.id)
    work_off(context, made)
    folders = [
        context.settings.member_folder(one.digest) for one in context.catalog.members(made.id)
    ]
    whole = rebuilt(context, made)
    assert (whole.state, whole.reason, said(whole)) == (Fact.YES, None, {})
    sizes = [one.size for one in context.catalog.members(made.id)]
    assert {key for key in whole.items if key.startswith("folder")} == {
        f"folder:{size}" for size in sizes
    }
    models = context.settings.home.parent
    teacher, student = (whole.items[k] for k in ("teacher:teacher", f"student:{'f' * 32}"))
    assert teacher.bytes == sum(p.stat().st_size for p in (models / "teacher").iterdir())
    assert student.bytes == sum(p.stat().st_size for p in (models / "student").iterdir())

    # What is said of it beside the weights may have become more meanwhile.
    first = {p.name: p.read_bytes() for p in folders[0].iterdir() if p.name != RECORD}
    weights = next(name for name in first if name.endswith(".safetensors"))
    for name, how in (
        (weights, "flip"),
        ("README.md", "flip"),
        ("config.json", "unlink"),
        ("", ""),
    ):
        flip(folders[0] / name) if how == "flip" else None
        (folders[0] / name).unlink() if how == "unlink" else None
        folders[0].rename(folders[0].with_name("elsewhere")) if not how else None
        found = rebuilt(context, made)
        assert found.state is Fact.YES
        ((key, (state, wrong, reason)),) = said(found).items()
        assert (key, state, reason) == (f"folder:{sizes[0]}", "mended", "built again")
        assert (name or "its folder is gone") in str(wrong)
        assert {name: (folders[0] / name).read_bytes() for name in first} == first
    assert context.catalog.requests(made.id)[0].state is Fact.YES


def test_what_cannot_be_looked_at_is_said_and_is_not_whole(context: Context) -> None:
    made = family(context, NewRequest(kind="build", what="*"))
    measure(context, made.id)
    work_off(context, made)
    weights = context.settings.home.parent / "teacher" / "model.safetensors"
    flip(weights)
    found = rebuilt(context, made)
    assert found.state is Fact.FAILED
    wrong = said(found)
    key = f"student:{'f' * 32}"
    assert "of the teacher 'teacher' changed" in str(wrong.pop(key)[2])
    small, large = context.catalog.members(made.id)
    unseen = ("unseen", None, "what it is made of is not whole")
    assert wrong == {f"folder:{small.size}": unseen, f"folder:{large.size}": unseen}
    # Nothing that was not looked at is taken back.
    assert (small.built, large.built) == (Fact.YES, Fact.YES)


@pytest.fixture
def repo(there: Context, hub: LocalHub) -> str:
    """The repository of a member that is published; `family` makes the same family again."""
    made = family(there, to("me"))
    measure(there, made.id)
    work_off(there, made)
    return next(str(one.repo) for one in there.catalog.members(made.id) if one.repo)


def contents(hub: LocalHub, repo: str) -> dict[str, bytes]:
    """What a repository holds, but for what may be said more fully when it is pushed again."""
    return {name: data for name, data in hub.files(repo).items() if name != RECORD}


def commit(hub: LocalHub, repo: str, **changes: Any) -> str:
    """Somebody else's commit: files with other content, or without (None)."""
    here = hub.store.repos[repo]
    files = dict(here.at("main").files)
    for name, data in changes.items():
        name = next((one for one in files if one.startswith(name)), f"{name}.md")
        files.pop(name, None)
        if data is not None:
            files[name] = hub.store.add(name, data)
    return here.commit("main", "somebody else's", files).oid


@pytest.mark.long("every kind of damage is made, and found on a Hub or on disk")
def test_what_lacks_in_a_repository_is_pushed_again(
    there: Context, hub: LocalHub, repo: str
) -> None:
    made, good = family(there), contents(hub, repo)
    assert rebuilt(there, made).state is Fact.YES
    downloads = len(hub.lines("/resolve/"))
    for changes, wrong in (
        ({"config": None}, "config.json is missing"),
        ({"config": b"{}"}, "config.json is not what was published"),
        ({"model-00001": None, "README": b"mine"}, "README.md is not what was published"),
    ):
        head = commit(hub, repo, **changes)
        found = rebuilt(there, made)
        ((key, (state, what, reason)),) = said(found).items()
        assert (key, state, reason) == (f"repository:{repo}", "mended", "pushed again")
        assert wrong in str(what)
        assert f"its head moved to {head}, which is none of ours" in str(what)
        assert (found.state, contents(hub, repo)) == (Fact.YES, good)
    # A commit of somebody else's that changed none of our files is only noted.
    head = commit(hub, repo, notes=b"hello")
    found = rebuilt(there, made)
    assert (found.state, said(found)) == (Fact.YES, {})
    assert head in str(found.items[f"repository:{repo}"].reason)
    assert hub.store.repos[repo].at("main").oid == head
    assert len(hub.lines("/resolve/")) == downloads


@pytest.mark.long("every kind of damage is made, and found on a Hub or on disk")
def test_who_sees_a_repository_is_only_ever_narrowed(
    there: Context, hub: LocalHub, repo: str
) -> None:
    made, here = family(there), hub.store.repos[repo]
    here.private = False
    found = rebuilt(there, made)
    wrong = "it was public, and was to be private"
    assert said(found) == {f"repository:{repo}": ("mended", wrong, "made private")}
    assert (found.state, here.private) == (Fact.YES, True)
    # Published openly, and taken back by somebody: that stands until it is asked for again.
    there.catalog.add_requests(made.id, [to("me", private=False)])
    settle(there, made.id)
    work_off(there, made)
    assert not here.private
    here.private = True
    found = rebuilt(there, made)
    assert (found.state, here.private) == (Fact.FAILED, True)
    assert said(found)[f"repository:{repo}"][:2] == (
        "broken", "it was made private, and was to be public",
    )  # fmt: skip
    there.catalog.add_requests(made.id, [to("me", private=False)])
    settle(there, made.id)
    work_off(there, made)
    assert not here.private
    assert rebuilt(there, made).items[f"repository:{repo}"].state == "whole"


@pytest.mark.long("every kind of damage is made, and found on a Hub or on disk")
def test_what_was_taken_down_stays_so_until_somebody_asks(
    there: Context, hub: LocalHub, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, kept = family(there), hub.store.repos[repo]
    # A token that the Hub does not know is shown nothing: that is no proof of anything.
    with monkeypatch.context() as patched:
        patched.setenv("HF_TOKEN", "hf_nobody")
        found = rebuilt(there, made)
    assert said(found)[f"repository:{repo}"][0] == "unseen"
    assert {one.published for one in there.catalog.members(made.id) if one.repo} == {Fact.YES}
    del hub.store.repos[repo]
    found = rebuilt(there, made)
    assert found.state is Fact.FAILED
    assert said(found)[f"repository:{repo}"][0] == "broken"
    (request,) = there.catalog.requests(made.id)
    assert request.state is Fact.FAILED
    assert repo not in hub.store.repos
    # The report still says that what was asked failed; the repository is no more looked at.
    again = rebuilt(there, made)
    assert set(said(again)) == {f"request:publish {request.what}"}
    there.catalog.add_requests(made.id, [to("me")])
    settle(there, made.id)
    work_off(there, made)
    assert hub.files(repo).keys() == {n for n in kept.at("main").files if n != ".gitattributes"}
    assert rebuilt(there, made).state is Fact.YES


def test_what_changed_and_nobody_asks_for_is_not_pushed(
    there: Context, hub: LocalHub, repo: str
) -> None:
    made = family(there)
    with there.catalog.db.write() as session:
        session.execute(RequestRow.__table__.delete())
    head = commit(hub, repo, config=b"{}")
    found = rebuilt(there, made)
    state, _, reason = said(found)[f"repository:{repo}"]
    assert (found.state, state) == (Fact.FAILED, "broken")
    assert "nobody asks for it any more" in str(reason)
    assert hub.store.repos[repo].at("main").oid == head
    assert rebuilt(there, made).state is Fact.YES


@pytest.mark.long("a Hub that is away is waited for")
def test_a_hub_that_is_away_is_waited_for_and_then_said_to_be_unseen(
    there: Context, hub: LocalHub, repo: str
) -> None:
    made = family(there)
    away = replace(there, settings=there.settings.model_copy(
        update={"hub_endpoint": "http://127.0.0.1:1"}))  # fmt: skip
    asked = there.catalog.rebuild(made.id)
    distill(there, asked.student.key)
    measure(there, made.id)
    assert rebuild(away, made.id) == "again"
    waiting = there.catalog.rebuild_numbered(made.id, asked.rebuild)
    assert waiting.open
    assert "again in" in str(waiting.reason)
    # What was looked at is not looked at again; what was not is, once the Hub is there.
    assert f"repository:{repo}" not in waiting.items
    assert rebuild(there, made.id) == "whole"
    impatient = replace(away, settings=away.settings.model_copy(update={"outage_seconds": 0.0}))
    found = rebuilt(impatient, made)
    assert said(found)[f"repository:{repo}"][0] == "unseen"
    assert {one.published for one in there.catalog.members(made.id) if one.repo} == {Fact.YES}


@pytest.mark.long("a real worker is killed again and again while it looks and mends")
@pytest.mark.timeout(400)
def test_a_worker_that_is_killed_anywhere_leaves_a_rebuild_that_goes_on(tmp_path: Path) -> None:
    backend = Backend(tmp_path, max_attempts=50)
    try:
        worker = backend.worker()
        made = backend.ask("quick", requests=(NewRequest(kind="build", what="*"),)).family.id
        wait_for(lambda: backend.catalog.requests(made)[0].state is Fact.YES, 120)
        members = backend.catalog.members(made)
        weights = [
            backend.settings.member_folder(one.digest) / "model.safetensors" for one in members
        ]
        good = [path.read_bytes() for path in weights]
        for path in weights:
            flip(path)
        number = backend.catalog.rebuild(made).rebuild
        backend.producer.send(Rebuild(family=made))
        random = Random(13)
        for turn in range(6):
            time.sleep(random.uniform(0.1, 1.5))
            os.kill(int(str(worker.pid)), signal.SIGKILL)
            worker = backend.worker(f"w{turn}")
        wait_for(lambda: not backend.catalog.rebuild_numbered(made, number).open, 150)
        found = backend.catalog.rebuild_numbered(made, number)
        assert found.state is Fact.YES, found
        assert {key: state for key, (state, *_) in said(found).items()} == {
            f"folder:{one.size}": "mended" for one in members
        }
        assert [path.read_bytes() for path in weights] == good
        assert found.items[f"student:{KEY}"].bytes > 0
        assert backend.catalog.requests(made)[0].state is Fact.YES
    finally:
        backend.close()
