"""The program of docs/python.md runs, and importing the package loads nothing heavy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

import boomerang
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRequest, BudgetOutOfRange
from tests.distill.jobs import save_teacher, save_texts
from tests.support.models import duo
from tests.support.places import ROOT

PAGE = (ROOT / "docs/python.md").read_text()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)


def test_the_program_has_at_most_ten_lines() -> None:
    assert len(PROGRAM.strip().splitlines()) <= 10


@pytest.mark.long("distils and measures, as the page says")
def test_the_program_runs(tmp_path: Path) -> None:
    save_teacher(tmp_path / "teacher")
    save_texts(tmp_path / "texts")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    sizes, figures = done.stdout.splitlines()
    parameters, perplexity = figures.split()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "between")
    assert model.num_parameters() == int(parameters)
    assert float(perplexity) > 1
    assert sizes.count("'") >= 4
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"teacher", "texts", "student", "between"}


@pytest.mark.parametrize("name", boomerang.__all__)
def test_every_name_is_there_and_described(name: str) -> None:
    assert getattr(boomerang, name).__doc__
    assert name in dir(boomerang)
    assert f"`{name}" in PAGE


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'huggingface_hub', 'pydantic', 'numpy'}"
    script = f"import boomerang, sys; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_what_a_plan_promises_is_what_is_assembled(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    plan = boomerang.plan(made.teacher_folder, made.student_folder, "1T", "first")
    assert plan.bought is not None
    assert plan.bought.member is plan.ladder.teacher
    for at, member in enumerate(plan.members):
        out = tmp_path / f"out{at}"
        names = made.teacher_folder, made.student_folder
        built = boomerang.assemble(names, member.size, out, order="first")
        assert (built.size, built.k, built.parameters) == (member.size, member.k, member.parameters)
        assert Checkpoint.open(out).parameters == member.parameters
        with pytest.raises(BadRequest, match="there already"):
            boomerang.assemble(plan.pair, member.size, out, order="first")
    with pytest.raises(BudgetOutOfRange):
        boomerang.plan(made.teacher_folder, budget=1)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(boomerang, "nothing")  # noqa: B009
