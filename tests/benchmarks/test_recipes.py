"""Students for comparison: drawn otherwise, begun otherwise, and made by the same trainer."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.recipes.ablation import Ablation, AblationLearner, drawn, forget
from boomerang.checkpoint.table import Checkpoint
from boomerang.distill.__main__ import main
from boomerang.distill.students import student as students
from boomerang.family.layer_map import LayerMap
from boomerang.modules.load import load
from tests.distill.jobs import RECIPE, events, job, save_teacher, told
from tests.support.models import KEPT, LAYERS

DIGESTS = {
    ("patch_sizes", "few"): "7f2a0c20a596ab9b91b2bd9f74678fd5",
    ("patch_ends", 0.0): "b24825cf95cf08c7700d82c95eec1019",
    ("initialisation", "random"): "a95ad6297501bd404a7a6509b5a516c9",
    ("seed", 0): "00fa1a37b11dda3fe432074b0053e7e8",
}
"""Those of when these were fields of every recipe; the last is that of none of them."""


@pytest.mark.parametrize("field", DIGESTS)
def test_what_is_compared_has_the_key_that_it_always_had(field: tuple[str, object]) -> None:
    small = {"steps": 3, "batch_tokens": 64, "sequence_length": 16, "learning_rate": 1e-3}
    assert Ablation.stored({**small, field[0]: field[1]}).digest() == DIGESTS[field]


def test_few_or_many_blocks_are_patched_where_it_is_asked_for_and_any_set_of_them() -> None:
    layermap = LayerMap.published(12)
    for wanted, order in (("few", [4, 3, 2, 1]), ("many", [1, 2, 3, 4])):
        asked: dict[str, Any] = {"patch_probability": 1, "patch_after": 0, "patch_ends": 0}
        recipe = Ablation.parse({**RECIPE, **asked, "patch_sizes": wanted})
        members = [drawn(recipe, layermap, step, 3000, 0) for step in range(3000)]
        sets = [frozenset(j for j in layermap.long if m.choices[j] == "b") for m in members]
        sizes = Counter(map(len, sets))
        assert sorted(sizes, key=lambda size: sizes[size]) == order
        often = Counter(s for s in sets if len(s) == 2)
        assert len(often) == 10
        assert max(often.values()) < 2 * min(often.values())


def test_layers_that_begin_at_random_leave_everything_else_the_teachers(tmp_path: Path) -> None:
    folder, layermap = save_teacher(tmp_path / "teacher", "llama"), LayerMap(KEPT, LAYERS)
    found = []
    for seed in (1, 1, 2):
        teacher = load(folder, dtype=None)
        config = students.student_config(Checkpoint.open(folder), layermap)
        student = students.initialise(teacher, config, layermap)
        forget(student, seed)
        for mine, of in zip(student.ends, teacher.ends, strict=True):
            assert torch.equal(mine.weight, of.weight)
        found.append(torch.cat([p.detach().flatten() for p in student.layers.parameters()]))
        kept = torch.cat(
            [p.detach().flatten() for j in KEPT for p in teacher.layers[j].parameters()]
        )
        assert (found[-1] == kept).float().mean() < 0.1
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.long("some trainings")
def test_the_trainer_makes_them_where_it_is_told_to_and_refuses_them_by_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = job(folder, recipe={"steps": 2})
    asked = json.loads(path.read_text())
    losses = []
    for name, more in (("a", {}), ("b", {"initialisation": "random", "patch_sizes": "many"})):
        changed = {**asked["recipe"], **more}
        out, run = str(folder / f"{name}-out"), str(folder / f"{name}-run")
        path.write_text(json.dumps({**asked, "recipe": changed, "out": out, "run": run}))
        assert main([str(path)], AblationLearner) == 0
        step = next(one for one in events(capsys.readouterr().out) if one["event"] == "step")
        losses.append(step["cosine"])
        assert json.loads((folder / f"{name}-out/boomerang.json").read_text())["recipe"] == {
            **Ablation.parse(changed).model_dump(mode="json")
        }
    assert losses[1] > 1.2 * losses[0]
    path.write_text(path.read_text().replace("b-out", "c-out").replace("b-run", "c-run"))
    status, said = told(path, capsys)
    assert status == 1
    assert "is no field of a recipe any more" in said[-1]["detail"]
