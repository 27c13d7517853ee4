"""The recipes side by side: figures become tables, and a sum of them is right."""

import tomllib
from pathlib import Path

import pytest
import torch

from benchmarks.teachers.__main__ import TEACHERS
from benchmarks.teachers.runs import Family, Subject, families, own_students
from benchmarks.teachers.table import dips_of, section
from boomerang.quality.measure import Quality
from tests.distill.jobs import save_teacher, save_texts

SHAPE = {
    "steps": 2, "batch_tokens": 64, "sequence_length": 16, "micro_batch": 2,
    "learning_rate": 1e-3, "warmup": 0.5,
}  # fmt: skip


def family(recipe: str, kls: list[float], perplexities: list[float]) -> Family:
    found = tuple(Quality(p, kl, (kl, kl)) for kl, p in zip(kls, perplexities, strict=True))
    layers = tuple(range(4, 4 + len(kls)))
    figures = ("",) * len(kls), layers, found
    return Family(recipe, 0, 2, (0, 1, 2, 3), "last", *figures, Path())


def subject(tmp_path: Path) -> Subject:
    told = {"teacher": str(save_teacher(tmp_path / "teacher", "llama")),
            "data": str(save_texts(tmp_path / "text")), "seeds": [0], "own": [5],
            "heldout": 64, "calibration": 64, **SHAPE}  # fmt: skip
    return Subject.read("toy", told)


def test_ratios_dips_and_their_sum(tmp_path: Path) -> None:
    published = family("published", [0.4, 0.4, 0.2, 0.0], [20.0, 22.0, 19.0, 18.0])
    ours = family("default", [0.3, 0.2, 0.1, 0.0], [19.0, 19.5, 18.5, 18.0])
    assert (dips_of(published), dips_of(ours)) == ([5], [5])
    text = section(subject(tmp_path), [[published, ours]], {5: Quality(19.0, 0.25, (0.25, 0.25))})
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert rows["÷ published, KL"].split("|")[2:5] == [" 0.75 ", " 0.50 ", " 0.50 "]
    assert rows["÷ published, perplexity"].split("|")[2:4] == [" 0.950 ", " 0.886 "]
    assert rows["family ÷ it, KL"].split("|")[3] == " 0.80 "
    assert "0.50 of the published one's in the mean, 0.50 at most; the student's own 0.75" in text
    assert "Not every step lowers both: 5 layers." in text


@pytest.mark.long("three students are trained and searched, in processes")
def test_a_toy_goes_through_both_recipes_and_a_student_of_its_own(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    toy, keep = subject(tmp_path), tmp_path / "kept"
    keep.mkdir()
    made = families(toy, keep, 0, "heldout")
    assert [one.recipe for one in made] == ["published", "default"]
    assert all(one.qualities[-1].kl == 0 for one in made)
    own = own_students(toy, keep, 0, "heldout", made[-1].steps)
    assert set(own) == {5}
    assert "## toy" in section(toy, [made], own)


def test_every_teacher_of_the_benchmark_is_read() -> None:
    told = tomllib.loads(TEACHERS.read_text("utf-8"))
    assert len([Subject.read(name, fields) for name, fields in told.items()]) == 3
