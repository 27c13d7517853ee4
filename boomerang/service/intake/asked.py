"""A request as it is meant: every name and number of the body read, before anything is found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.budget import Budget
from boomerang.recipes.recipe import Recipe
from boomerang.service.intake.request import FamilyRequest, HubText, PublishTo
from boomerang.service.settings import Settings
from boomerang.texts.datasets import SCHEME, Dataset


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a family; `request` is what the catalog keeps of it.

    `wanted` is the budget as a request upon the family says it. Where neither `student` nor `base`
    is named, a student is to be distilled.
    """

    request: dict[str, Any]
    teacher: str
    revision: str | None
    student: str | None
    base: str | None
    kept: tuple[int, ...] | None
    recipe: Recipe
    text: tuple[Dataset | Path, ...]
    order: str
    sizes: tuple[str, ...]
    budget: Budget | None
    wanted: str
    publish: PublishTo | None
    tasks: dict[str, int | None] | None


def read(body: FamilyRequest, settings: Settings) -> Asked:
    """Read a body. Raises BadName, BadRecipe, or BadRequest where two fields do not go together."""
    _refuse_together(body)
    recipe = Recipe.load(settings.recipe) if body.recipe is None else _recipe(body.recipe)
    if body.kept is not None and body.student is None:
        recipe = recipe.override(kept=body.kept, name="custom")
    budget = None if body.budget is None else Budget.parse(body.budget)
    wanted = ""
    if budget is not None:
        wanted = budget.text if isinstance(body.budget, str) else str(budget.parameters)
    return Asked(
        request=body.model_dump(mode="json"),
        teacher=body.teacher,
        revision=body.revision,
        student=body.student,
        base=body.base,
        kept=None if body.kept is None else tuple(body.kept),
        recipe=recipe,
        text=_texts(settings, body.data),
        order=body.order,
        sizes=tuple(body.sizes or ()),
        budget=budget,
        wanted=wanted,
        publish=body.publish,
        tasks=dict.fromkeys(body.tasks or (), body.task_limit) or None,
    )


def _refuse_together(body: FamilyRequest) -> None:
    if body.base is not None and body.student is not None:
        raise BadRequest(
            "A base was given beside a student.",
            value=body.base,
            fix="Name the student, or the base whose student is adapted.",
        )
    if body.kept is not None and body.base is not None:
        raise BadRequest(
            "Kept layers were given beside a base.",
            value=body.kept,
            fix="Leave them out: they are those of the base's student.",
        )


def _recipe(asked: str | dict[str, Any]) -> Recipe:
    if isinstance(asked, dict):
        return Recipe.parse(asked)
    # A name from a request must not become a path.
    if not asked.replace("-", "").replace("_", "").isalnum():
        raise BadRecipe(
            f"{asked!r} is no recipe.", value=asked, fix="Name one, or give its fields."
        )
    return Recipe.load(asked)


def _texts(
    settings: Settings, data: list[str | HubText] | str | HubText | None
) -> tuple[Dataset | Path, ...]:
    if data is None:
        return (settings.data,) if settings.data is not None else ()
    return tuple(_text(settings, one) for one in (data if isinstance(data, list) else [data]))


def _text(settings: Settings, data: str | HubText) -> Dataset | Path:
    if isinstance(data, HubText):
        return Dataset(data.id, data.revision, data.text)
    if data.startswith(SCHEME):
        return Dataset.parse(data)
    path = settings.folders.path(data)
    if path is None:
        raise BadRecipe(
            f"The text {data!r} cannot be read: no folder of local files is set.",
            value=data,
            fix="Start the service with BOOMERANG_MODELS.",
        )
    return path
