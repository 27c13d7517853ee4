"""Students on the Hub: pushed once ready, taken instead of distilled, never believed blindly."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.states import StudentState
from boomerang.errors import NotReady
from boomerang.recipes.recipe import Recipe
from boomerang.service.jobs import PushStudent
from boomerang.service.models import pairs
from tests.local_hub.fixture import LocalHub, running
from tests.local_hub.repos import OWNER
from tests.support.outbox import Outbox
from tests.workers.test_setbacks import KEY, ask, context
from workers.assemble import assemble
from workers.context import Context
from workers.distill import distill
from workers.measure import measure
from workers.models.keeping import push

__all__ = ["context"]

pytestmark = pytest.mark.slow("students are made by real trainers, and travel to a real Hub")
REPO = f"us/boomerang-student-{KEY}"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    with running(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def here(context: Context, hub: LocalHub) -> Context:
    more = {"hub_endpoint": hub.url, "students": "us"}
    return replace(context, settings=context.settings.model_copy(update=more))


@pytest.fixture
def elsewhere(here: Context, tmp_path: Path) -> Iterator[Context]:
    """Another installation: another home and another catalog, the same namespace."""
    home = tmp_path / "elsewhere" / "home"
    for name in ("teacher", "student"):
        shutil.copytree(tmp_path / name, home.parent / name)
    url = f"sqlite:///{home / 'catalog.sqlite'}"
    settings = here.settings.model_copy(update={"home": home, "database_url": url})
    opened = Context(settings, Catalog(url), Outbox())
    yield opened
    opened.catalog.close()


def apart(context: Context, name: str) -> Context:
    """A machine of the same installation with a disk of its own."""
    home = context.settings.home.parent / name
    return replace(context, settings=context.settings.model_copy(update={"home": home}))


def told(context: Context, kind: str) -> list[dict[str, object]]:
    return [event.payload for event in context.catalog.events_after(0) if event.kind == kind]


def due(context: Context, patience: float = 0) -> bool:
    """Whether a reaper has the student pushed."""
    return Due("keep", KEY) in context.catalog.reap(patience, 3, keep=True)


def trained(context: Context) -> bool:
    return (context.settings.run_folder(KEY) / "starts").exists()


def kept(context: Context, mode: str = "quick") -> str:
    """A family whose student is ready and on the Hub."""
    family = ask(context, mode).family.id
    assert distill(context, KEY) == "ready"
    assert push(context, KEY) == "kept"
    return family


def test_a_student_is_kept_once_and_found_by_another_installation(
    here: Context, elsewhere: Context, hub: LocalHub
) -> None:
    ask(here, "quick")
    assert distill(here, KEY) == "ready"
    assert PushStudent(key=KEY) in here.producer.sent  # type: ignore[attr-defined]
    # The message is lost: the catalog knows.
    assert (due(here, 60), due(here)) == (False, True)
    assert push(here, KEY) == "kept"
    assert push(here, KEY) == "not wanted"
    assert not due(here)
    repo = hub.store.repos[REPO]
    assert (repo.private, len(repo.history("main"))) == (True, 2)
    mine = here.catalog.student(KEY)
    assert (mine.hub_repo, mine.hub_commit) == (REPO, repo.at("main").oid)
    folder = here.settings.student_folder(KEY)
    there = hub.files(REPO)
    assert there.keys() - {path.name for path in folder.iterdir()} == {"README.md", "SHA256SUMS"}
    assert all(there[path.name] == path.read_bytes() for path in folder.iterdir())
    assert KEY in there["README.md"].decode()

    family = ask(elsewhere, "quick").family.id
    assert distill(elsewhere, KEY) == "ready"
    theirs = elsewhere.catalog.student(KEY)
    assert (theirs.files, theirs.hub_commit) == (mine.files, mine.hub_commit)
    assert not trained(elsewhere)
    assert not elsewhere.settings.student_folder(KEY).exists()
    # Whoever measures fetches it, byte for byte.
    assert measure(elsewhere, family) == "not measured"
    fetched = elsewhere.settings.student_folder(KEY)
    assert {p.name: p.read_bytes() for p in fetched.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    # Whoever assembles reads it where it is; what was built of it stays what it is.
    fetched.rename(fetched.with_name("away"))
    assert assemble(elsewhere, family, 0) == "built"
    member = elsewhere.settings.member_folder(elsewhere.catalog.member(family, 0).digest)
    same = load_file(member / "model.safetensors")
    assert all((same[n] == t).all() for n, t in load_file(folder / "model.safetensors").items())
    fetched.with_name("away").rename(fetched)
    assert assemble(elsewhere, family, 0) == "already built"


def test_layers_that_are_measured_are_those_of_the_student_that_is_there(
    here: Context, elsewhere: Context
) -> None:
    kept(here)
    recipe = Recipe.load("smoke").model_dump(mode="json") | {"name": "quick"}
    made = ask(elsewhere, "quick", kept=(0, 1, 3), map_rule="divergence", recipe=recipe)
    assert distill(elsewhere, KEY) == "ready"
    found = elsewhere.catalog.student(KEY)
    assert (found.kept, found.pinned) == ((0, 2, 3), True)
    assert not trained(elsewhere)
    codes = [member.code for member in elsewhere.catalog.members(made.family.id)]
    assert codes == ["sss+sss", "bbb+ttt"]


@pytest.mark.parametrize("how", ["another key", "a flipped bit", "a lost file", "more files"])
def test_what_is_not_the_student_is_told_and_left_alone(
    here: Context, elsewhere: Context, hub: LocalHub, tmp_path: Path, how: str
) -> None:
    kept(here)
    folder = tmp_path / "forged"
    for name, content in hub.files(REPO).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if how == "another key":
        record = json.loads((folder / "boomerang.json").read_text())
        (folder / "boomerang.json").write_text(json.dumps(record | {"key": "b" * 32}))
        _sum(folder)
    elif how == "a flipped bit":
        weights = bytearray((folder / "model.safetensors").read_bytes())
        weights[-1] ^= 1
        (folder / "model.safetensors").write_bytes(weights)
    elif how == "a lost file":
        (folder / "student_config.json").unlink()
    else:
        (folder / "tokenizer.json").write_text("{}")
    del hub.store.repos[REPO]
    there = hub.add_repo(REPO, folder, private=True)
    ask(elsewhere, "quick")
    assert distill(elsewhere, KEY) == "ready"
    assert trained(elsewhere)
    (note,) = told(elsewhere, "not-taken")
    assert REPO in str(note["reason"])
    assert push(elsewhere, KEY) == "failed"
    student = elsewhere.catalog.student(KEY)
    assert (student.state, student.hub_commit) == (StudentState.READY, None)
    assert "not kept on the Hub" in str(student.reason)
    assert hub.store.repos[REPO].at("main").oid == there
    assert not due(elsewhere)


def _sum(folder: Path) -> None:
    """Write the sums of what is there, as whoever forges a student would."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_a_student_that_cannot_be_pushed_stays_ready(
    here: Context, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boomerang.hub.client.FIRST_WAIT", 0.0)
    family = ask(here, "quick").family.id
    assert distill(here, KEY) == "ready"
    # Busy for a while: tried again.
    hub.refuse("/api/repos/create", 503, times=99)
    assert push(here, KEY) == "again"
    hub.faults.clear()
    assert "again in" in str(here.catalog.student(KEY).reason)
    # No right to write: not before somebody asks.
    hub.refuse("/api/repos/create", 403, times=99)
    assert push(here, KEY) == "failed"
    hub.faults.clear()
    student = here.catalog.student(KEY)
    assert (student.state, student.hub_commit) == (StudentState.READY, None)
    assert "403" in str(student.reason)
    assert OWNER not in json.dumps([e.payload for e in here.catalog.events_after(0)])
    assert not due(here)
    here.catalog.rebuild(family)
    assert distill(here, KEY) == "verified"
    assert push(here, KEY) == "kept"
    assert here.catalog.student(KEY).reason is None


def test_a_damaged_copy_is_mended_and_a_damaged_student_taken(
    here: Context, hub: LocalHub, tmp_path: Path
) -> None:
    family = kept(here)
    good = hub.files(REPO)
    for damage in (lambda: hub.store.repos.pop(REPO), lambda: _harm(hub)):
        damage()
        here.catalog.rebuild(family)
        assert distill(here, KEY) == "verified"
        assert here.catalog.student(KEY).hub_commit is None
        assert push(here, KEY) == "kept"
        assert hub.files(REPO) == good
    # The folder is damaged, and the copy is whole: it costs no distillation.
    weights = here.settings.student_folder(KEY) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    here.catalog.rebuild(family)
    assert distill(here, KEY) == "ready"
    assert len((here.settings.run_folder(KEY) / "starts").read_text().split()) == 1
    assert not weights.exists()
    here.catalog.rebuild(family)
    assert distill(here, KEY) == "verified"


def _harm(hub: LocalHub) -> None:
    repo = hub.store.repos[REPO]
    files = dict(repo.at("main").files)
    files["config.json"] = hub.store.add("config.json", b"{}")
    commit = repo.commit("main", "harm", files)
    # As if the Hub itself had lost what it had at the pinned commit.
    for oid in list(repo.commits):
        repo.commits[oid] = replace(repo.commits[oid], files=commit.files)


def test_machines_without_a_shared_disk(here: Context, hub: LocalHub) -> None:
    family = ask(here, "quick").family.id
    assert distill(here, KEY) == "ready"
    other = apart(here, "other")
    student = here.catalog.student(KEY)
    # Not there yet: whoever needs it waits, and a machine that has it not hands the job on.
    with pytest.raises(NotReady, match="on its way"):
        pairs.student_checkpoint(other.settings, student)
    assert measure(other, family) == "again"
    assert push(other, KEY) == "again"
    here.catalog.rebuild(family)
    assert distill(other, KEY) == "not verified"
    assert push(here, KEY) == "kept"
    student = here.catalog.student(KEY)
    assert pairs.is_remote(pairs.student_checkpoint(other.settings, student))
    assert not pairs.is_remote(pairs.student_checkpoint(here.settings, student))
    here.catalog.rebuild(family)
    assert distill(other, KEY) == "verified"
    # The folder of a student that was made again elsewhere is not taken for it.
    old = other.settings.student_folder(KEY)
    shutil.copytree(here.settings.student_folder(KEY), old)
    assert not pairs.is_remote(pairs.student_checkpoint(other.settings, student))
    (old / "boomerang.json").write_text('{"of": "before"}')
    assert pairs.is_remote(pairs.student_checkpoint(other.settings, student))
    assert measure(other, family) == "not measured"
    assert (old / "boomerang.json").read_bytes() == hub.files(REPO)["boomerang.json"]
    assert list((old.parent / "set-aside").glob(f"{KEY}.*"))


def test_a_hub_that_is_away_is_waited_for_before_anything_is_distilled(
    here: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(here, settings=here.settings.model_copy(
        update={"hub_endpoint": "http://127.0.0.1:1"}))  # fmt: skip
    ask(here, "quick")
    monkeypatch.setattr("boomerang.hub.client.FIRST_WAIT", 0.0)
    assert distill(away, KEY) == "again"
    assert not trained(here)
    assert here.catalog.student(KEY).state is StudentState.QUEUED
