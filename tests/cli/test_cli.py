"""The command line from outside: processes, their output, and their exit status."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from boomerang.cli import main
from boomerang.cli.main import loaded
from boomerang.quality.from_hub import measure as plain_measure
from tests.support.cli_stub import Stub, boomerang, error, listening, told
from tests.support.models import Duo, duo, edit_json

pytestmark = pytest.mark.slow("the command line as a process, many times")

COMMANDS = (
    "plan", "distill", "heal", "measure", "assemble", "chat", "publish", "verify", "request",
    "families", "show", "cancel", "delete", "events", "download", "rebuild", "usage",
    "serve", "worker", "migrate", "backup", "restore", "keys", "audit", "doctor", "gc", "demo",
)  # fmt: skip


@pytest.fixture
def stub() -> Iterator[Stub]:
    with listening(Stub()) as found:
        yield found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    return duo(tmp_path_factory.mktemp("models"), "llama")


def test_help_lists_every_command() -> None:
    done = boomerang("--help")
    assert done.returncode == 0
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_of_itself_what_the_list_says_of_it(name: str) -> None:
    assert loaded(name).help.startswith(main.COMMANDS[name][1].rstrip("."))


def test_nothing_heavy_is_imported_before_a_command_needs_it(models: Duo) -> None:
    heavy = "{'torch', 'transformers', 'fastapi', 'sqlalchemy', 'celery', 'huggingface_hub'}"
    script = (
        "import atexit, sys; from boomerang.cli.main import main\n"
        f"atexit.register(lambda: sys.stderr.write(repr(sorted({heavy} & set(sys.modules)))))\n"
        f"sys.argv = ['boomerang', 'plan', {str(models.teacher_folder)!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == "[]"


def test_plan_is_the_ladder_of_the_pair(models: Duo) -> None:
    plan = told("plan", models.teacher_folder, "--student", models.student_folder)
    assert plan["kept"] == list(models.kept)
    assert [m["layers"] for m in plan["members"]] == [5, 6, 7, 8]
    assert plan["members"][0]["parameters"] == models.student.num_parameters()
    assert plan["members"][-1]["parameters"] == models.teacher.num_parameters()
    assert plan["budget"] is None


def test_plan_says_what_a_budget_buys(models: Duo) -> None:
    members = told("plan", models.teacher_folder, "--student", models.student_folder)["members"]
    asked = members[1]["parameters"] + 5
    arguments = ("plan", models.teacher_folder, "--student", models.student_folder, "--budget")
    bought = told(*arguments, asked)["budget"]
    assert (bought["size"], bought["below_by"]) == (members[1]["size"], 5)
    # An exact name is that size, though read as a budget it may be a little too small for it.
    named = told(*arguments, members[2]["size"])["budget"]
    assert (named["parameters"], named["below_by"]) == (members[2]["parameters"], 0)
    shown = boomerang(*arguments, asked).stdout
    assert f"{members[1]['parameters']:,} parameters, 5 below it." in shown


def test_memory_is_a_budget_wherever_one_is_read(models: Duo, tmp_path: Path) -> None:
    pair = (models.teacher_folder, models.student_folder)
    members = told("plan", pair[0], "--student", pair[1])["members"]
    memory = f"{members[1]['parameters'] * 4 / 1000}KB:float32"
    bought = told("plan", pair[0], "--student", pair[1], "--budget", memory)["budget"]
    assert (bought["size"], bought["below_by"]) == (members[1]["size"], 0)
    assert bought["asked"] == memory.replace(":", " in ")
    made = told("assemble", *pair, "--order", "last", "--size", memory, "--out", tmp_path / "out")
    assert made["parameters"] == members[1]["parameters"]


def test_plan_without_a_student_keeps_what_the_published_map_keeps(models: Duo) -> None:
    assert told("plan", models.teacher_folder)["kept"] == [0, 2, 4, 6, 7]


def test_bad_input_is_one_line(models: Duo, tmp_path: Path) -> None:
    teacher, student = models.teacher_folder, models.student_folder
    assert "no folder" in error("plan", tmp_path / "nowhere")
    assert "no folder" in error("plan", "../x/y/z")
    assert "'a/../b'" in error("plan", "a/../b")
    assert "'..'" in error("plan", "me/..")
    assert "below the student" in error("plan", teacher, "--budget", "7")
    assert "'lots' is no budget" in error("plan", teacher, "--budget", "lots")
    assert "measuring" in error("plan", teacher, "--order", "klpatch")
    assert "is no order" in error("plan", teacher, "--order", "0,0,1")
    assert "no recipe 'none'" in error("plan", teacher, "--recipe", "none")
    assert "which teacher layers" in error("plan", teacher, "--student", teacher)
    at = ("assemble", teacher, student, "--order", "last", "--out", tmp_path / "out")
    assert "no size 'huge'" in error(*at, "--size", "huge")
    assert "from 0" in error(*at, "--patch", "9")
    assert not (tmp_path / "out").exists()


def test_a_teacher_that_the_hub_does_not_have_is_one_line(stub: Stub) -> None:
    stub.problem = (404, {"error": "Repository not found"})
    assert "'someone/model'" in error("plan", "someone/model", HF_ENDPOINT=stub.url)
    assert any(path.startswith("/api/models/someone/model") for _, path, *_ in stub.asked)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "strange"}, "strange"),
        ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Model"}}, "code"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_one_line(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = duo(tmp_path, "llama").teacher_folder
    edit_json(folder / "config.json", **changes)
    assert said in error("plan", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    edit_json(folder / "config.json", model_type="llama", auto_map={})
    assert "pytorch_model.bin" in error("plan", folder)


def test_wrong_usage_is_status_2(models: Duo, tmp_path: Path) -> None:
    at = ("assemble", models.teacher_folder, models.student_folder, "--order", "last", "--out", "x")
    for arguments in (("nothing",), ("plan",), at, ("rebuild",), ("rebuild", "a", "--all")):
        done = boomerang(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_assembled_by_size_and_by_patch_is_the_same_model(models: Duo, tmp_path: Path) -> None:
    pair = ("assemble", models.teacher_folder, models.student_folder, "--order", "first")
    first = told(*pair, "--patch", 2, "--out", tmp_path / "a")
    again = told(*pair, "--size", first["size"], "--out", tmp_path / "b")
    assert first["layers"] == 7
    assert first["parameters"] == again["parameters"]
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert (model.config.num_hidden_layers, model.num_parameters()) == (7, first["parameters"])
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        for name in files
    )
    assert str(tmp_path) not in (tmp_path / "a" / "boomerang.json").read_text()
    assert "there already" in error(*pair, "--patch", 1, "--out", tmp_path / "a")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.long("the command line as a process, many times")
def test_settings_that_are_wrong_are_one_line() -> None:
    assert "BOOMERANG_PORT" in error("serve", BOOMERANG_PORT="many")
    assert "API keys" in error("serve", "--host", "0.0.0.0")
    assert "queue" in error("worker", "--queues", "nothing")


def test_the_demo_removes_no_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "examples" / "kjv" / "KJV-1.4M").mkdir(parents=True)
    said = error("demo", "--home", tmp_path / "mine", "--examples", tmp_path / "examples")
    assert "not removed" in said
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_plain_measuring_knows_the_teacher(models: Duo) -> None:
    """Its perplexity is that of the loss transformers computes; its KL to itself is zero."""
    ids = torch.arange(34).reshape(2, 17)
    (other, far), (own, kl) = plain_measure([models.student, models.teacher], [ids[:1], ids[1:]])
    with torch.no_grad():
        expected = models.teacher(ids, labels=ids).loss.exp().item()
    assert own == pytest.approx(expected, rel=1e-4)
    assert kl == pytest.approx(0, abs=1e-6)
    assert other != pytest.approx(own, rel=1e-3)
    assert far > 0.01
