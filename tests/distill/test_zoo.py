"""The trainer takes every sort of teacher: kinds of layers, experts, a text model inside."""

import json
from pathlib import Path

import pytest

from boomerang.assembly.stitch import member_files
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill import __main__ as trainer
from boomerang.family.composition import Composition
from boomerang.family.pair import Pair
from tests.architecture.test_wrappers import whole
from tests.assembly.test_stitch import loaded
from tests.distill.jobs import job, save_teacher, save_texts, save_tokenizer

SORTS = {
    "gemma2": (0, 3, 4, 6, 7),
    "smollm3": (0, 2, 4, 6, 7),
    "qwen3_moe": (0, 2, 4, 6, 7),
    "gpt_oss": (0, 3, 4, 6, 7),
    "gemma3": (0, 2, 4, 6, 7),
}
"""A teacher and the layers its student keeps: the published ones are 0, 2, 4, 6, 7."""


@pytest.mark.parametrize("sort", SORTS)
def test_a_student_of_it_and_a_member(sort: str, tmp_path: Path) -> None:
    if sort == "gemma3":
        whole(tmp_path / "teacher", sort, "gemma3_text")
        save_tokenizer(tmp_path / "teacher")
    else:
        save_teacher(tmp_path / "teacher", sort)
    save_texts(tmp_path / "texts")
    recipe = {"steps": 2, "patch_after": 0.0, "patch_probability": 0.5}
    assert trainer.main([str(job(tmp_path, recipe=recipe))]) == 0
    student = tmp_path / "a-student"
    pair = Pair.of(Checkpoint.open(tmp_path / "teacher"), Checkpoint.open(student))
    assert pair.layermap.kept == SORTS[sort]
    said = json.loads((student / "config.json").read_text())
    assert said["architectures"] == [pair.teacher.architecture.causal_lm]
    assert set(pair.student.kinds) == set(pair.teacher.kinds)
    folder = tmp_path / "member"
    folder.mkdir()
    composition = Composition.patched(pair.layermap, {pair.layermap.long[-1]})
    for name, file in member_files(pair, composition).items():
        file.write(folder / name)
    assert loaded(folder).config.num_hidden_layers == len(composition.layers)
