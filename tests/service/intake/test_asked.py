"""A body is read once: what comes out needs no reading any more, and no model is looked for."""

from pathlib import Path
from typing import Any

import pytest

from boomerang.errors import BadName, BadRecipe, BadRequest, BoomerangError
from boomerang.service.intake.asked import Asked, FamilyRequest, read
from boomerang.service.settings import Settings
from boomerang.texts.datasets import Dataset


def asked(home: Path, **body: Any) -> Asked:
    settings = Settings(home=home, models=home / "models", data=home / "texts")
    return read(FamilyRequest.model_validate({"teacher": "me/nobody"} | body), settings)


@pytest.mark.parametrize(
    ("budget", "parameters", "wanted"),
    [
        ("2.9B", 2_900_000_000, "2.9B"),
        (2.5e9, 2_500_000_000, "2500000000"),
        ({"memory": "6GB", "dtype": "float16"}, 3_000_000_000, "3000000000"),
        ("6GB:float16", 3_000_000_000, "6GB in float16"),
    ],
)
def test_a_budget_is_a_number_and_is_kept_as_it_was_said(
    tmp_path: Path, budget: Any, parameters: int, wanted: str
) -> None:
    found = asked(tmp_path, budget=budget)
    assert found.budget is not None
    assert (found.budget.parameters, found.wanted) == (parameters, wanted)


def test_what_is_not_said_is_as_the_operator_set_it(tmp_path: Path) -> None:
    found = asked(tmp_path)
    assert (found.recipe.name, found.text) == ("default", (tmp_path / "texts",))
    assert (found.budget, found.student, found.base, found.tasks) == (None, None, None, None)


def test_texts_are_places_and_datasets(tmp_path: Path) -> None:
    found = asked(tmp_path, data=["mine/", {"id": "me/texts", "text": "body"}])
    assert found.text == (tmp_path / "models" / "mine", Dataset("me/texts", None, "body"))


def test_kept_layers_are_those_of_the_recipe_unless_a_student_is_given(tmp_path: Path) -> None:
    assert asked(tmp_path, kept=[0, 2]).recipe.name == "custom"
    given = asked(tmp_path, kept=[0, 2], student="me/student")
    assert (given.recipe.name, given.kept) == ("default", (0, 2))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"data": "../texts"}, BadName),
        ({"recipe": "../recipe"}, BadRecipe),
        ({"base": "me/base", "student": "me/student"}, BadRequest),
        ({"base": "me/base", "kept": [0]}, BadRequest),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tmp_path: Path, body: dict[str, Any], error: type[BoomerangError]
) -> None:
    with pytest.raises(error):
        asked(tmp_path, **body)
