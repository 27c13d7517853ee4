"""Which layers a student keeps, measured by the process that a worker runs for it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from boomerang.errors import BadRecipe
from boomerang.family.layer_map import LayerMap
from boomerang.processes.reporting import Reporter
from boomerang.quality.__main__ import main
from boomerang.quality.choosing import maps
from boomerang.quality.choosing.similarity import map_by_similarity, similarity_map
from boomerang.recipes.maps import MEASURED
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from tests.distill.jobs import RECIPE, events, save_teacher, save_texts
from tests.support.models import LAYERS

PUBLISHED = LayerMap.published(LAYERS)


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    """A job for the map of a tiny teacher, whose context is shorter than the recipe's windows."""
    recipe = Recipe.parse({**RECIPE, "map": "similarity", "sequence_length": 4096})
    return {
        "teacher": str(save_teacher(tmp_path / "teacher")),
        "data": str(save_texts(tmp_path / "texts")),
        "rule": "similarity",
        "recipe": recipe.model_dump(mode="json"),
    }


def told(
    job: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]]]:
    (folder / "job.json").write_text(json.dumps(job))
    status = main([str(folder / "job.json")])
    return status, events(capsys.readouterr().out)


def test_every_rule_that_a_recipe_may_name_is_there() -> None:
    assert tuple(maps.RULES) == MEASURED


def test_the_process_says_how_far_it_is_and_what_it_found(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told(job, tmp_path, capsys)
    *mapping, found, done = said
    recipe = Recipe.parse(job["recipe"])
    wanted = similarity_map(Path(job["teacher"]), Texts.open(job["data"]), recipe)
    assert (status, done) == (0, {"event": "done"})
    assert found == {
        "event": "map", "rule": "similarity", "kept": [*wanted.kept], "layers": LAYERS,
        "reason": None,
    }  # fmt: skip
    assert len(wanted.kept) == len(PUBLISHED.kept)
    assert {one["event"] for one in mapping} == {"mapping"}
    assert mapping[-1]["done"] == mapping[-1]["of"] > 0


def test_a_rule_that_ticks_often_is_not_told_as_often(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def rule(_: Path, __: Texts, ___: Recipe, tick: maps.Tick) -> LayerMap:
        for done in range(1, 1001):
            tick(done, 1000)
        return PUBLISHED

    monkeypatch.setattr(maps, "RULES", {"similarity": rule})
    *mapping, _, _ = told(job, tmp_path, capsys)[1]
    assert [one["done"] for one in mapping] == [1, 1000]


def test_with_too_little_text_the_published_layers_are_kept(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(job["data"]) / "calibration.jsonl").write_text('{"text": "w1 w2"}\n')
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-2]["kept"]) == (0, [*PUBLISHED.kept])
    assert "The calibration split has" in said[-2]["reason"]
    assert said[-2]["reason"].endswith("The published layers are kept.")


def test_of_a_teacher_whose_states_are_not_finite_the_published_layers_are_kept(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path(job["teacher"]) / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.1.mlp.down_proj.weight"].fill_(torch.inf)
    save_file(weights, file, {"format": "pt"})
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-2]["kept"]) == (0, [*PUBLISHED.kept])
    assert "not finite" in said[-2]["reason"]


def test_where_no_map_keeps_each_kind_of_layer_the_published_layers_are_kept(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def rule(*_: object) -> LayerMap:
        return map_by_similarity(torch.zeros(5, 5), 3, "abcd")

    monkeypatch.setattr(maps, "RULES", {"similarity": rule})
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-2]["kept"]) == (0, [*PUBLISHED.kept])
    assert "one of each kind" in said[-2]["reason"]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory.")])
def test_where_memory_is_too_little_the_published_layers_are_kept(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, error: Exception,
) -> None:  # fmt: skip
    def rule(*_: object) -> LayerMap:
        raise error

    monkeypatch.setattr(maps, "RULES", {"similarity": rule})
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-2]["kept"]) == (0, [*PUBLISHED.kept])
    assert "too little memory" in said[-2]["reason"]


def test_what_is_wrong_is_an_error(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(job["data"]) / "calibration.jsonl").write_text("no JSON\n")
    status, said = told(job, tmp_path, capsys)
    assert (status, said[-1]["event"], said[-1]["slug"]) == (1, "error", "bad-recipe")
    status, said = told({**job, "rule": "luck"}, tmp_path, capsys)
    assert (status, said[-1]["event"]) == (1, "error")
    with pytest.raises(BadRecipe, match="no rule 'luck'"):
        maps.measured_map(
            "luck", Path(job["teacher"]), Texts.open(job["data"]), Recipe.parse(RECIPE), Reporter()
        )
