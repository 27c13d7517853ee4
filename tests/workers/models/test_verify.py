"""What a rebuild looks at: bytes, not words; and what it does with what it finds."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import delete

from boomerang.catalog.leases import revoke
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.states import Fact, Lease, StudentState
from boomerang.catalog.tables import FilesRow
from boomerang.errors import HubUnreachable
from tests.local_hub.fixture import running
from tests.local_hub.repos import OWNER
from tests.workers.test_setbacks import KEY, ask, context, fails, until_over
from workers.assemble import assemble, sweep
from workers.context import Context
from workers.distill import distill
from workers.measure import measure

__all__ = ["context"]


@pytest.fixture
def made(context: Context) -> str:
    """The id of a family that is ready."""
    family = ask(context, "quick").family.id
    assert distill(context, KEY) == "ready"
    assert measure(context, family) == "not measured"
    return family


def kinds(context: Context) -> list[str]:
    return [event.kind for event in context.catalog.events_after(0)]


def flip(path: Path) -> None:
    """Change one bit of the last tensor: header, size and time of modification stay."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def starts(context: Context) -> int:
    return len((context.settings.run_folder(KEY) / "starts").read_text().split())


def test_a_rebuild_stands_in_the_catalog_until_it_is_done(context: Context, made: str) -> None:
    assert distill(context, KEY) == "ready"  # a doubled message looks at nothing
    context.catalog.rebuild(made)
    assert context.catalog.reap(60, 3) == ()
    # The message is lost; a reaper sends it again.
    assert context.catalog.reap(0, 3) == (Due("distill", KEY),)
    assert distill(context, KEY) == "verified"
    assert context.catalog.student(KEY).verify is None
    # Without texts it was not measured: perhaps there are some now.
    assert context.catalog.reap(0, 3) == (Due("measure", made),)
    assert (kinds(context).count("verified"), starts(context)) == (1, 1)


def test_one_bit_of_the_students_tensors_is_found_and_what_was_is_kept(
    context: Context, made: str
) -> None:
    weights = context.settings.student_folder(KEY) / "model.safetensors"
    good = weights.read_bytes()
    flip(weights)
    bad = weights.read_bytes()
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "ready"
    assert (weights.read_bytes(), starts(context)) == (good, 2)
    aside = weights.parent.parent / "set-aside"
    (kept,) = [path for path in aside.iterdir() if path.is_dir()]
    assert (kept / "model.safetensors").read_bytes() == bad
    assert "changed since it became ready" in kept.with_name(f"{kept.name}.txt").read_text()
    (told,) = [e.payload for e in context.catalog.events_after(0) if e.kind == "set-aside"]
    assert told["name"] == f"set-aside/{kept.name}"


def test_whoever_was_replaced_puts_nothing_aside(
    context: Context, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it saw to be damaged may have been made again since."""

    def slow(context: Context, *_: object) -> str:
        with context.catalog.db.write() as session:
            revoke(session, f"student:{KEY}")
        return "it changed"

    monkeypatch.setattr("workers.distill.damage_of", slow)
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "lost"
    assert context.settings.student_folder(KEY).exists()


def test_a_student_whose_folder_is_gone_is_made_again(context: Context, made: str) -> None:
    folder = context.settings.student_folder(KEY)
    folder.rename(folder.with_name("elsewhere"))
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "ready"
    assert starts(context) == 2
    # What was measured of it is measured anew, and the reaper knows.
    assert context.catalog.reap(60, 3) == (Due("measure", made),)


@pytest.mark.parametrize("missing", ["teacher", "students"])
def test_what_keeps_a_look_from_being_taken_leaves_the_student_ready(
    context: Context, made: str, missing: str
) -> None:
    folder = context.settings.student_folder(KEY)
    source = context.settings.home.parent / "teacher"
    gone = source if missing == "teacher" else folder.parent
    gone.rename(gone.with_name("away"))
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "not verified"
    student = context.catalog.student(KEY)
    assert (student.state, starts(context)) == (StudentState.READY, 1)
    (told,) = [e.payload for e in context.catalog.events_after(0) if e.kind == "unverified"]
    # A folder that is not mounted is looked for again; a teacher that is gone has to be put back.
    assert (told["again_in"] is None) == (missing == "teacher") == (student.verify is None)
    gone.with_name("away").rename(gone)
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "verified"


@pytest.mark.parametrize("known", [True, False])
def test_a_bit_of_a_local_teacher_is_found_and_named(
    context: Context, made: str, known: bool
) -> None:
    weights = context.settings.home.parent / "teacher" / "model.safetensors"
    if known:
        context.catalog.rebuild(made)
        assert distill(context, KEY) == "verified"
    flip(weights)
    for _ in range(2 if known else 1):
        context.catalog.rebuild(made)
        assert distill(context, KEY) == "not verified"
        told = [e.payload for e in context.catalog.events_after(0) if e.kind == "unverified"][-1]
        assert told["again_in"] is None
        assert "model.safetensors of the teacher 'teacher' changed" in told["reason"]
    # What is read of it is not believed any more.
    assert assemble(context, made, 0) == "failed"
    flip(weights)
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "verified"
    assert (starts(context), assemble(context, made, 0)) == (1, "built")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_a_fetched_teacher_that_is_damaged_is_fetched_again_and_kept(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool, how: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    source = tmp_path / "teacher"
    with running(tmp_path / "hub") as hub:
        monkeypatch.setitem(context.settings.__dict__, "hub_endpoint", hub.url)
        commit = hub.add_repo("org/teacher", source)
        # Where the trainer of these tests looks for what it "makes".
        shutil.copytree(tmp_path / "student", context.settings.teacher_folder("student"))
        made = ask(context, "quick", teacher="org/teacher", teacher_commit=commit,
                   teacher_source=None).family.id  # fmt: skip
        assert distill(context, KEY) == "ready"
        folder = context.settings.teacher_folder(commit)
        assert set(context.catalog.files_at(commit) or ()) == {"config.json", "model.safetensors"}
        if not known:
            with context.catalog.db.write() as session:
                session.execute(delete(FilesRow))
        weights = folder / "model.safetensors"
        good = weights.read_bytes()
        flip(weights) if how == "flipped" else weights.unlink()
        context.catalog.rebuild(made)
        assert distill(context, KEY) == "verified"
        assert (weights.read_bytes(), starts(context)) == (good, 1)
        (kept,) = [path for path in (folder.parent / "set-aside").iterdir() if path.is_dir()]
        assert (kept / "config.json").is_file()
        assert "model.safetensors changed" in kept.with_name(f"{kept.name}.txt").read_text()
        (told,) = [e.payload for e in context.catalog.events_after(0) if e.kind == "set-aside"]
        assert told["name"] == f"set-aside/{kept.name}"
        context.catalog.rebuild(made)
        assert distill(context, KEY) == "verified"


def test_a_hub_that_is_away_does_not_damage_a_student(
    context: Context, monkeypatch: pytest.MonkeyPatch, made: str
) -> None:
    away = fails(2, lambda *_: None, HubUnreachable("Status 503."))
    monkeypatch.setattr("boomerang.service.models.pairs.teacher_checkpoint", away)
    monkeypatch.setattr("boomerang.service.models.pairs.check_folder", lambda *_: None)
    monkeypatch.setattr("boomerang.service.models.pairs.is_remote", lambda _: True)
    context.catalog.rebuild(made)
    assert distill(context, KEY) == "not verified"
    assert context.catalog.student(KEY).verify is not None
    assert context.catalog.student(KEY).state is StudentState.READY
    assert starts(context) == 1


def test_a_sweep_stands_in_the_catalog_until_it_is_done(context: Context, made: str) -> None:
    assert assemble(context, made, 0) == "built"
    digest = context.catalog.member(made, 0).digest
    folder = context.settings.member_folder(digest)
    assert digest in context.catalog.delete_family(made)
    assert context.catalog.reap(60, 3) == ()
    assert context.catalog.reap(0, 3) == (Due("sweep", ""),)
    # While somebody works on the folder it is left for later.
    lease = context.catalog.lease_acquire(f"build:{digest}", "other", 30)
    assert isinstance(lease, Lease)
    sweep(context)
    assert folder.is_dir()
    context.catalog.lease_release(lease)
    assert sweep(context) == "1 removed"
    assert not folder.exists()
    assert context.catalog.reap(0, 3) == ()


def test_cancelling_is_heard_while_a_teacher_is_fetched(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    family: list[str] = []

    def fetch(*_: object, progress: object, **__: object) -> None:
        context.catalog.cancel(family[0])
        while True:
            progress(1, 2)  # type: ignore[operator]
            time.sleep(0.05)

    monkeypatch.setattr("boomerang.hub.fetch.fetch", fetch)
    family.append(ask(context, "quick", teacher_source=None).family.id)
    assert until_over(context) == ["cancelled"]
    assert context.catalog.student(KEY).state is StudentState.CANCELLED


def test_cancelling_is_heard_while_a_family_is_measured(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = str(context.settings.home.parent)
    family = ask(context, "quick", data=texts).family.id
    assert distill(context, KEY) == "ready"
    slow = (sys.executable, "-c", "import time; time.sleep(60)")
    with monkeypatch.context() as patched:
        patched.setitem(context.settings.__dict__, "measurer", slow)
        threading.Timer(1, context.catalog.cancel, (family,)).start()
        assert measure(context, family) == "cancelled"
    found = context.catalog.family(family)
    assert (found.measuring, found.measuring_reason) == (Fact.FAILED, "cancelled on request")
    assert context.catalog.reap(0, 3) == ()
    # Asked for again, it is measured.
    ask(context, "quick", data=texts)
    assert measure(context, family) == "measured"
