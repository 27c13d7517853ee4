"""Which layers a student keeps, by the library and the command line: measured once for a run."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import boomerang as library
from boomerang.cli.show import distilled_view
from boomerang.family.layer_map import LayerMap
from boomerang.quality.choosing.similarity import similarity_map
from boomerang.recipes.recipe import Recipe
from boomerang.texts.texts import Texts
from tests.distill.jobs import save_teacher, save_texts
from tests.support.cli_stub import boomerang, error, told
from tests.support.models import LAYERS

pytestmark = pytest.mark.slow("teachers are measured and students trained, in processes")

FIELDS = {"steps": 1, "batch_tokens": 32, "sequence_length": 16, "learning_rate": 0.01}
PUBLISHED = LayerMap.published(LAYERS)


class Enough(Exception):
    """Somebody pressed ^C."""


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """What is asked of the library: teacher, text, and a recipe that measures."""
    recipe = tmp_path / "tiny.toml"
    rows = [f"{name} = {value}" for name, value in FIELDS.items()]
    recipe.write_text("\n".join([*rows, 'map = "similarity"']))
    return {
        "teacher": save_teacher(tmp_path / "teacher"),
        "text": save_texts(tmp_path / "texts"),
        "recipe": recipe,
        "out": tmp_path / "student",
    }


@pytest.mark.long("a measuring that is killed and gone on with, in processes")
def test_what_was_measured_is_kept_until_the_student_is_whole(asked: dict[str, Any]) -> None:
    kinds: list[str] = []

    def told(event: dict[str, Any]) -> None:
        kinds.append(event["event"])
        if event["event"] == "estimate":
            raise Enough

    with pytest.raises(Enough):
        library.distil(**asked, told=told)
    assert kinds.index("mapping") < kinds.index("map") < kinds.index("estimate")
    run = asked["out"].with_name(".student.run")
    known = json.loads((run / "layers.json").read_text())
    recipe = Recipe.load(asked["recipe"])
    wanted = similarity_map(asked["teacher"], Texts.open(asked["text"]), recipe)
    assert tuple(known["kept"]) == wanted.kept != PUBLISHED.kept
    # Another machine might find others: what was found first is what is trained.
    shutil.rmtree(run)
    run.mkdir()
    said = {"kept": [*PUBLISHED.kept], "reason": "Few words. The published layers are kept."}
    (run / "layers.json").write_text(json.dumps(known | said))
    kinds.clear()
    record = library.distil(**asked, told=lambda event: kinds.append(event["event"]))
    assert (record["kept"], record["key"]) == (said["kept"], known["key"])
    assert (record["map"], record["map_reason"]) == ("similarity", said["reason"])
    view = distilled_view(record)
    assert "The student keeps the teacher's layers 0, 2" in view
    assert view.endswith(said["reason"])
    # Nor is it measured once more where the student is there.
    again = library.distil(**asked, told=lambda event: kinds.append(event["event"]))
    assert (again["kept"], again["key"]) == (record["kept"], record["key"])
    assert not {"mapping", "map"} & set(kinds)


def test_the_command_line_says_that_a_ladder_is_provisional(asked: dict[str, Any]) -> None:
    plan = told("plan", asked["teacher"], "--recipe", asked["recipe"])
    assert (plan["ladder"], plan["kept"]) == ("provisional", [*PUBLISHED.kept])
    said = boomerang("plan", asked["teacher"], "--recipe", asked["recipe"]).stdout
    assert "provisional until the layers that the student keeps are measured" in said
    assert not library.plan(asked["teacher"], recipe="published").provisional
    assert not library.plan(asked["teacher"], recipe=asked["recipe"], kept=[0, 2]).provisional


@pytest.mark.long("teachers are measured and students trained, in processes")
def test_the_command_line_distils_by_a_rule_that_is_named(asked: dict[str, Any]) -> None:
    command = ("distill", asked["teacher"], "--text", asked["text"], "--recipe", asked["recipe"])
    published = told(*command, "--map", "published", "--out", asked["out"].with_name("published"))
    assert (published["map"], published["kept"]) == ("published", [*PUBLISHED.kept])
    both = (*command, "--kept", "0,1,2", "--map", "published", "--out", asked["out"])
    assert "not both" in boomerang(*both).stderr
    assert boomerang(*command, "--map", "luck", "--out", asked["out"]).returncode == 2
    assert "no recipe" in error(*command[:-1], "luck", "--out", asked["out"])
