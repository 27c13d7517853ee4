"""What cannot be measured: an error that says what is wrong and the fix, or the right default."""

import errno
import json
import math
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.states import Fact
from boomerang.errors import MAKE_ROOM
from boomerang.quality.__main__ import main
from boomerang.service.models.pairs import folder_commit
from boomerang.service.settings import Settings
from tests.distill.jobs import events, save_texts, save_tokenizer
from tests.support.cli_stub import boomerang, error
from tests.support.harness_stub import save_harness
from tests.support.models import Duo, duo
from tests.support.outbox import Outbox

pytestmark = pytest.mark.slow("the measurer as a process, with what is wrong")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    return duo(tmp_path_factory.mktemp("models"), "gpt2", frozen=True)


@pytest.fixture
def job(models: Duo, tmp_path: Path) -> dict[str, Any]:
    save_tokenizer(models.teacher_folder)
    return {
        "teacher": str(models.teacher_folder),
        "student": str(models.student_folder),
        "data": str(save_texts(tmp_path / "texts")),
        "order": "last",
        "sequence_length": 16,
        "heldout_tokens": 256,
    }


def told(
    job: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    (folder / "job.json").write_text(json.dumps(job))
    status = main([str(folder / "job.json")])
    return status, events(capsys.readouterr().out)


def without(folder: Path, *keys: str) -> None:
    """Take special tokens from the tokenizer of a folder."""
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in settings.items() if k not in keys}))


@pytest.mark.parametrize("kept", [("train", "calibration"), ("train", "heldout"), ("train",)])
def test_a_folder_without_a_split(
    job: dict[str, Any], kept: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in {"calibration", "heldout"} - set(kept):
        (tmp_path / "texts" / f"{split}.jsonl").unlink()
    status, said = told(job, tmp_path, capsys)
    assert (status, [one["event"] for one in said], said[-1]["slug"]) == (
        1, ["error"], "bad-recipe",
    )  # fmt: skip
    missing = "heldout" if "calibration" in kept else "calibration"
    assert missing in said[-1]["detail"]
    assert said[-1]["fix"]


@pytest.mark.parametrize("split", ["calibration", "heldout"])
def test_a_text_shorter_than_a_window(
    job: dict[str, Any], split: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts" / f"{split}.jsonl").write_text('{"text": "w1 w2 w3"}\n')
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-1]["event"], said[-1]["value"]) == (1, "error", 4)
    assert f"{split} split has 4 tokens" in said[-1]["detail"]


@pytest.mark.parametrize("gone", [("pad_token",), ("bos_token",), ("eos_token",)])
def test_a_tokenizer_without_one_of_its_tokens_is_measured(
    job: dict[str, Any],
    models: Duo,
    gone: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without(models.teacher_folder, *gone)
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-1]) == (0, {"event": "done"})
    members = [one for one in said if one["event"] == "member"]
    assert all(math.isfinite(one["perplexity"]) and one["perplexity"] > 1 for one in members)
    assert all(one["kl"] > 0 for one in members[:-1])


def test_a_tokenizer_without_any_end_of_text(
    job: dict[str, Any], models: Duo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without(models.teacher_folder, "bos_token", "eos_token")
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-recipe")
    assert "no end-of-text token" in said[-1]["detail"]
    assert "eos_token" in said[-1]["fix"]


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="lm-eval is installed")
def test_a_task_without_the_harness_is_said_and_the_rest_is_measured(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told({**job, "tasks": [{"name": "piqa"}]}, tmp_path, capsys)
    assert (status, said[-1]) == (0, {"event": "done"})
    members = [one for one in said if one["event"] == "member"]
    tasks = [one for one in said if one["event"] == "task"]
    assert [one["k"] for one in tasks] == [one["k"] for one in members]
    assert all("pip install 'boomerang[tasks]'" in one["failed"] for one in tasks)
    assert all(one["metrics"] == [] for one in tasks)


def test_sizes_and_orders_that_tasks_cannot_have(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"tasks": [{"name": "piqa"}]}
    status, said = told({**job, **wanted, "members": ["huge"]}, tmp_path, capsys)
    assert (status, said[-1]["slug"]) == (1, "size-not-found")
    assert not [one for one in said if one["event"] in ("member", "task")]
    status, said = told({**job, **wanted, "order": "auto", "tasks_only": True}, tmp_path, capsys)
    assert (status, said[-1]["slug"], said[-1]["value"]) == (1, "bad-recipe", "auto")


@pytest.mark.long("the measurer as a process, with what is wrong")
def test_the_command_line_says_it_in_one_line(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "texts" / "heldout.jsonl").unlink()
    at = ("measure", job["teacher"], job["student"], "--text", job["data"], "--order", "last")
    assert "it has no heldout. Give a folder with train, calibration and heldout" in error(*at)


@pytest.mark.long("the measurer as a process, with what is wrong")
def test_an_unknown_task_is_said_before_any_work(tmp_path: Path) -> None:
    """Neither teacher nor text is there, and nobody has looked yet."""
    at = ("measure", "nowhere/at/all", "nobody", "--text", "nothing", "--tasks")
    known = {"PYTHONPATH": str(save_harness(tmp_path))}
    assert "no task 'arc_esy'. The nearest: arc_easy" in error(*at, "piqa, arc_esy", **known)
    assert "No task is named" in error(*at, " , ", **known)
    assert "no folder of tasks" in error(*at, "piqa", "--tasks-folder", tmp_path / "no", **known)
    assert "no folder 'nowhere/at/all'" in error(*at, "piqa,ai2_arc,arc_hard", **known)
    if find_spec("lm_eval") is None:
        assert "pip install 'boomerang[tasks]'" in error(*at, "piqa")
    for alone in (("--limit", 3), ("--member", "1M"), ("--tasks-folder", tmp_path)):
        done = boomerang(*at[:-1], *alone)
        assert (done.returncode, "belong to --tasks" in done.stderr) == (2, True)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(Settings(home=tmp_path / "home").database_url)
    yield opened
    opened.close()


@pytest.mark.long("the measurer as a process, with what is wrong")
def test_a_worker_keeps_the_reason_and_no_figure(
    job: dict[str, Any], models: Duo, tmp_path: Path, catalog: Catalog
) -> None:
    """The measurer as a process, on a family whose tokenizer has no end of text."""
    from boomerang.catalog.records.families import NewFamily, NewRequest
    from boomerang.catalog.records.students import NewStudent, Origin
    from boomerang.checkpoint.table import Checkpoint
    from workers.context import Context
    from workers.measure import measure

    without(models.teacher_folder, "bos_token", "eos_token")
    settings = Settings(home=tmp_path / "home")
    commit = folder_commit(catalog, Checkpoint.open(models.teacher_folder))
    where = {"teacher": "t", "source": job["teacher"], "commit": commit}
    student = NewStudent(
        key="f" * 32, teacher="t", teacher_commit=commit, kept=models.kept, layers=8,
        origin=Origin.FOLDER, location=job["student"], teacher_source=job["teacher"],
        data=job["data"], recipe={"sequence_length": 16},
    )  # fmt: skip
    asked = NewFamily(name="t", revision=None, student=student.key, order="auto", **where)
    requests = (NewRequest(kind="build", what="*"),)
    made = catalog.create_family(asked, student, (), requests).family
    context = Context(settings, catalog, Outbox())
    assert measure(context, made.id) == "failed"
    now = catalog.family(made.id)
    assert now.measuring is Fact.FAILED
    assert "no end-of-text token" in str(now.measuring_reason)
    # The family is usable: an order that needs no measure, nothing measured, builds sent.
    assert now.chosen == "last"
    members = catalog.members(made.id)
    assert {(member.measured, member.perplexity, member.kl) for member in members} == {
        (Fact.NO, None, None)
    }
    assert len(context.producer.sent) == len(members)  # type: ignore[attr-defined]


def test_a_full_disk_is_no_fault_of_the_job(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr("boomerang.quality.__main__.run", Mock(side_effect=full))
    status, (said,) = told(job, tmp_path, capsys)
    assert (status, said["transient"], said["fix"]) == (1, True, MAKE_ROOM)
