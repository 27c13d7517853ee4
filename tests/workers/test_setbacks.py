"""What a job survives: killed trainers, a catalog, a queue or a Hub that are away for a while."""

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from boomerang.catalog import setbacks
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.database import Database
from boomerang.catalog.reaping import Due
from boomerang.catalog.records.families import Created, NewFamily
from boomerang.catalog.records.states import Fact, StudentState
from boomerang.catalog.records.students import NewStudent
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import GatedTeacher, HubUnreachable
from boomerang.processes import json_lines as job
from boomerang.service.models.pairs import folder_commit
from boomerang.service.settings import Settings
from tests.support.outbox import Outbox
from tests.workers.conftest import KEPT, LAYERS, write_model
from workers.context import Context
from workers.distill import distill
from workers.leases import Holding
from workers.measure import measure

HERE = Path(__file__).parent
KEY = "a" * 32
AWAY = OperationalError("SELECT 1", {}, Exception("the server closed the connection"))


@pytest.fixture
def context(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setattr(setbacks, "_FIRST_SECONDS", 0.1)
    write_model(tmp_path / "teacher", LAYERS, seed=1)
    write_model(tmp_path / "student", len(KEPT), seed=2)
    kept = {"copied_teacher_layers": list(KEPT)}
    (tmp_path / "student" / "student_config.json").write_text(json.dumps(kept))
    settings = Settings(
        home=tmp_path / "home",
        database_url=url,
        trainer=(sys.executable, str(HERE / "fake_trainer.py")),
        measurer=(sys.executable, str(HERE / "fake_measurer.py")),
        max_attempts=3,
        lease_seconds=1,
    )
    opened = Context(settings, Catalog(settings.database_url), Outbox())
    yield opened
    opened.catalog.close()


def ask(
    context: Context, mode: str, order: str = "last", tasks: Any = None, **more: Any
) -> Created:
    teacher = context.settings.home.parent / "teacher"
    commit = folder_commit(context.catalog, Checkpoint.open(teacher))
    values: dict[str, Any] = {
        "key": KEY,
        "teacher": "teacher",
        "teacher_commit": commit,
        "teacher_source": str(teacher),
        "kept": KEPT,
        "layers": LAYERS,
        "recipe": {"fake": mode},
    }
    family = NewFamily(
        name="teacher", teacher="teacher", revision=None, commit=commit, source=str(teacher),
        student=KEY, order=order, tasks=tasks,
    )  # fmt: skip
    return context.catalog.create_family(family, NewStudent(**values | more))


def until_over(context: Context, most: int = 12) -> list[str]:
    """Work on the student whenever it is due, as workers do, and return what each work said."""
    said = [distill(context, KEY)]
    while not context.catalog.student(KEY).state.over:
        assert len(said) < most
        due: tuple[Due, ...] = ()
        until = time.monotonic() + 20
        while not due and time.monotonic() < until:
            due = context.catalog.reap(60, context.settings.max_attempts)
            time.sleep(0.05)
        assert due == (Due("distill", KEY),)
        said.append(distill(context, KEY))
    return said


def reasons(context: Context) -> list[str]:
    events = context.catalog.events_after(0)
    return [str(e.payload["reason"]) for e in events if e.kind == "student" and e.payload["reason"]]


def fails(times: int, call: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    left = [times]

    def instead(*arguments: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return call(*arguments, **more)

    return instead


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("away", "The Hub is away; again in 0 s"),
        ("crash", "its process ended with status 1: a bug; again in 0 s"),
    ],
)
def test_a_trainer_that_ends_for_a_passing_reason_is_started_again(
    context: Context, mode: str, reason: str
) -> None:
    ask(context, mode)
    assert until_over(context) == ["again", "ready"]
    assert reasons(context) == [reason]
    assert context.catalog.student(KEY).attempts == 0


def test_progress_makes_good_any_number_of_kills(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A kernel that says that it killed nobody for memory.
    monkeypatch.setattr(job, "kernel_kills", lambda: 0)
    ask(context, "progress")
    assert until_over(context) == ["again"] * 4 + ["ready"]
    assert reasons(context) == ["its process was killed by SIGKILL; again in 0 s"] * 4
    assert context.catalog.student(KEY).micro_batch is None


def test_without_progress_it_fails_after_some_attempts_with_longer_waits(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "kernel_kills", lambda: 0)
    ask(context, "die")
    assert until_over(context) == ["again", "again", "failed"]
    killed = "its process was killed by SIGKILL"
    assert reasons(context)[:2] == [f"{killed}; again in 0 s", f"{killed}; again in 0 s"]
    assert reasons(context)[2].startswith(f"{killed} (3 times in a row")
    # Whoever asks again gives it as many attempts as before.
    ask(context, "die")
    assert context.catalog.student(KEY).attempts == 0


def test_killed_for_memory_at_the_same_step_it_goes_on_with_less_at_a_time(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr(job, "kernel_kills", lambda: next(kills))
    recipe = {"fake": "greedy", "steps": 5, "batch_tokens": 64, "sequence_length": 16,
              "learning_rate": 0.1, "micro_batch": 8}  # fmt: skip
    from workers import distill as module

    class Parsed:
        micro_batch = 8

    monkeypatch.setattr(module.Recipe, "parse", lambda _: Parsed)
    ask(context, "greedy", recipe=recipe)
    assert until_over(context) == ["again"] * 4 + ["ready"]
    told = [e.payload for e in context.catalog.events_after(0) if e.kind == "memory"]
    assert [(t["before"], t["micro_batch"]) for t in told] == [(8, 4), (4, 2), (2, 1)]
    assert reasons(context)[0] == (
        "its process was killed by SIGKILL (out of memory?), with 2.00 GiB for about 3.00; "
        "again in 0 s"
    )


def test_where_one_sequence_is_too_many_it_fails_with_the_figures(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr(job, "kernel_kills", lambda: next(kills))
    from workers import distill as module

    class Parsed:
        micro_batch = 1

    monkeypatch.setattr(module.Recipe, "parse", lambda _: Parsed)
    ask(context, "die")
    assert until_over(context) == ["again", "failed"]
    last = reasons(context)[-1]
    assert "with 2.00 GiB for about 3.00, twice at step 0 with one sequence at a time" in last


def test_a_catalog_that_is_away_for_a_moment_costs_no_run(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(context, "quick")
    catalog = context.catalog
    for name in ("progress", "student_saved", "student_note", "student_whole"):
        monkeypatch.setattr(catalog, name, fails(2, getattr(catalog, name), AWAY))
    assert distill(context, KEY) == "ready"
    student = catalog.student(KEY)
    # What was lost of the progress is in what came after it.
    assert (student.state, student.step, student.loss) == (StudentState.READY, 4, 0.25)
    assert "checkpoint" in [event.kind for event in catalog.events_after(0)]


def test_a_catalog_that_is_away_for_long_stops_the_trainer_and_nothing_is_failed(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(context, "quick")
    away = fails(10**6, print, AWAY)
    with monkeypatch.context() as gone:
        for name in ("student_saved", "lease_renew", "student_again"):
            gone.setattr(context.catalog, name, away)
        assert distill(context, KEY) == "lost"
    assert context.catalog.student(KEY).state is StudentState.DISTILLING
    time.sleep(1)
    assert context.catalog.reap(60, 3) == ()
    time.sleep(0.15)
    assert context.catalog.reap(60, 3) == (Due("distill", KEY),)
    assert distill(context, KEY) == "ready"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_waited_for_with_word_of_what_to_free(
    context: Context, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    full = OSError(number, os.strerror(number), "/home/somebody/file")
    monkeypatch.setattr(Holding, "run", fails(1, Holding.run, full))
    ask(context, "quick")
    assert until_over(context) == ["again", "ready"]
    (reason,) = reasons(context)
    assert reason.startswith(f"the disk is full ({os.strerror(number)}). Free space")
    assert reason.endswith("nobody needs; again in 0 s")
    assert "somebody" not in reason


@pytest.mark.parametrize("passing", [True, False])
def test_a_hub_that_is_away_is_waited_for_and_one_that_refuses_is_not(
    context: Context, monkeypatch: pytest.MonkeyPatch, passing: bool
) -> None:
    error = HubUnreachable("Status 503.") if passing else GatedTeacher("Not for you.")
    source = context.settings.home.parent / "teacher"

    def fetch(repo: str, commit: str, folder: Path, **_: Any) -> Path:
        folder.symlink_to(source)
        shutil.copytree(source.with_name("student"), folder.with_name("student"))
        return folder

    monkeypatch.setattr("boomerang.hub.fetch.fetch", fails(1, fetch, error))
    ask(context, "quick", teacher_source=None)
    monkeypatch.setattr("workers.distill.check_pair", lambda *_: None)
    said = until_over(context)
    assert said == (["again", "ready"] if passing else ["failed"])
    assert reasons(context) == (["Status 503; again in 0 s"] if passing else ["Not for you."])


def test_a_teacher_that_comes_file_by_file_makes_good_any_number_of_lost_workers(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = iter(range(8))

    class Killed(BaseException):
        pass

    def fetch(*_: Any, arrived: Callable[[], None], **__: Any) -> None:
        next(files)
        arrived()
        raise Killed

    monkeypatch.setattr("boomerang.hub.fetch.fetch", fetch)
    ask(context, "quick", teacher_source=None)
    for _ in range(8):
        with pytest.raises(Killed):
            distill(context, KEY)
        # As the reapers find it: distilling, and nobody has it.
        until = time.monotonic() + 20
        while not context.catalog.reap(60, 3) and time.monotonic() < until:
            time.sleep(0.05)
    assert context.catalog.student(KEY).state is StudentState.QUEUED
    with pytest.raises(StopIteration):
        fetch(arrived=print)


def test_an_outage_that_lasts_too_long_is_a_failure(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "boomerang.hub.fetch.fetch", fails(99, print, HubUnreachable("Status 503."))
    )
    object.__setattr__(context.settings, "outage_seconds", 1.0)
    ask(context, "quick", teacher_source=None)
    assert until_over(context)[-1] == "failed"
    assert reasons(context)[-1].endswith("or for 1 s)")


def test_what_measuring_waits_for_is_said(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(context, "quick", data=str(context.settings.home.parent))
    assert distill(context, KEY) == "ready"
    with monkeypatch.context() as away:
        away.setattr(
            "workers.measure.fetch_teacher", fails(9, print, HubUnreachable("Status 503."))
        )
        assert measure(context, made.family.id) == "again"
    family = context.catalog.family(made.family.id)
    assert (family.measuring, family.settled) == (Fact.NO, False)
    assert family.measuring_reason == "Status 503; again in 0 s"
    assert measure(context, made.family.id) == "measured"


ENDS = """
import json, os, signal
print(json.dumps({"event": "order", "order": "klpatch", "patch_order": [0]}), flush=True)
print(json.dumps({"event": "member", "k": 0, "perplexity": 9.5}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A measurer that is killed between two members."""


@pytest.mark.long("a measurer that is killed in the middle")
def test_an_order_that_was_found_stands_when_the_measurer_is_killed_after_it(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ask(context, "quick", order="auto", data=str(context.settings.home.parent))
    assert distill(context, KEY) == "ready"
    with monkeypatch.context() as patched:
        patched.setitem(context.settings.__dict__, "measurer", (sys.executable, "-c", ENDS))
        # What is new in each attempt begins the count anew: the order, then a member.
        assert [measure(context, made.family.id) for _ in range(2)] == ["again"] * 2
    assert measure(context, made.family.id) == "measured"
    folder = context.settings.run_folder(KEY) / f"measure-{made.family.id}"
    assert json.loads((folder / "job.json").read_text())["order"] == [0]
    family = context.catalog.family(made.family.id)
    assert (family.chosen, family.patch_order) == ("klpatch", (0,))
    # Made again, the student is measured from the beginning.
    (context.settings.student_folder(KEY) / "model.safetensors").unlink()
    context.catalog.rebuild(made.family.id)
    assert distill(context, KEY) == "ready"
    assert context.catalog.family(made.family.id).chosen is None


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("name", ["set_members", "set_fact", "set_measuring", "set_task", "member"])
def test_a_catalog_that_is_away_for_a_moment_ends_no_measuring(
    context: Context, monkeypatch: pytest.MonkeyPatch, name: str, times: int
) -> None:
    made = ask(
        context, "quick", order="auto", tasks={"piqa": None}, data=str(context.settings.home.parent)
    )
    assert distill(context, KEY) == "ready"
    begun, call, real = [0], getattr(context.catalog, name), Holding.run
    away = fails(times, call, AWAY)

    def run(*arguments: Any) -> job.Outcome:
        # Only what the measurer says meets a catalog that is away.
        with monkeypatch.context() as gone:
            gone.setattr(context.catalog, name, away)
            begun[0] += 1
            return real(*arguments)

    monkeypatch.setattr(Holding, "run", run)
    assert measure(context, made.family.id) == "measured"
    assert begun == [1]
    members = context.catalog.members(made.family.id)
    assert [member.perplexity for member in members] == [9.0, 8.0]
    assert [list(member.tasks or {}) for member in members] == [["piqa"]] * 2
    assert context.catalog.family(made.family.id).patch_order == (0,)


def test_a_measurer_that_is_killed_is_started_again(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1e9]
    monkeypatch.setattr(Database, "now", lambda *_: now[0])
    made = ask(context, "quick", data=str(context.settings.home.parent))
    assert distill(context, KEY) == "ready"
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with monkeypatch.context() as patched:
        patched.setitem(context.settings.__dict__, "measurer", (sys.executable, "-c", kill))
        assert measure(context, made.family.id) == "again"
    family = context.catalog.family(made.family.id)
    assert (family.measuring, family.settled) == (Fact.NO, False)
    assert "SIGKILL" in str(family.measuring_reason)
    assert "again in 0 s" in str(family.measuring_reason)
    assert context.catalog.reap(0, 3) == ()
    now[0] += 0.15
    assert context.catalog.reap(60, 3) == (Due("measure", made.family.id),)
    assert measure(context, made.family.id) == "measured"
