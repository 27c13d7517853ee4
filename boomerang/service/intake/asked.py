"""What a request for a family may say, and as it is meant: every name and number of it read.

Nothing is found here: `POST /families`, and what the catalog keeps of it, become an `Asked`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from boomerang.errors import BadRecipe, BadRequest
from boomerang.family.budget import Budget
from boomerang.recipes.maps import MapRule
from boomerang.recipes.recipe import Recipe
from boomerang.service.intake.publish_to import KeptPublishTo, PublishTo
from boomerang.service.notify import target
from boomerang.service.settings import Settings
from boomerang.texts.datasets import SCHEME, Dataset


class HubText(BaseModel):
    """A dataset on the Hub: `text` is the column that holds the documents."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=3, max_length=200)
    revision: str | None = Field(default=None, max_length=200)
    text: str | None = Field(default=None, max_length=200)


class HealSize(BaseModel):
    """One size of a family that is ready, to be trained by itself for some steps."""

    model_config = ConfigDict(extra="forbid")

    family: str = Field(min_length=1, max_length=16, description="its id")
    size: str = Field(min_length=1, max_length=200, description="a size's name, or a budget")
    steps: int | None = Field(default=None, ge=1, le=10**9, description="instead of the recipe's")


Source = Annotated[str, Field(max_length=300)]
Sources = Annotated[list[Source | HubText], Field(min_length=1, max_length=8)]


class FamilyRequest(BaseModel):
    """`POST /families`: a teacher, and what is wanted of its family."""

    model_config = ConfigDict(extra="forbid")

    teacher: str = Field(min_length=1, max_length=300, description="Hub repo id, or a folder")
    revision: str | None = Field(default=None, max_length=200)
    budget: str | int | float | dict[str, Any] | None = Field(
        default=None, description='"2.9B", 2900000000, {"memory": "6GB", "dtype": "bfloat16"}'
    )
    sizes: list[str] | None = Field(default=None, max_length=500, description="sizes to build")
    student: str | None = Field(default=None, max_length=300, description="a student there is")
    kept: list[int] | None = Field(
        default=None, min_length=1, max_length=2000,
        description="teacher layers that the student keeps, where it or the recipe does not say",
    )  # fmt: skip
    map: MapRule | None = Field(
        default=None,
        description="rule that finds the layers to keep, where it is not to be the recipe's",
    )
    order: str = Field(default="auto", max_length=2000)
    recipe: str | dict[str, Any] | None = None
    data: Source | HubText | Sources | None = Field(
        default=None, description="folder of texts, a dataset on the Hub, or several of them"
    )
    base: str | None = Field(
        default=None,
        max_length=300,
        description="what the teacher was fine-tuned from, whose student is ready; auto: as its "
        "card says",
    )
    heal: HealSize | None = Field(
        default=None,
        description="the size of one of the teacher's families that its student is made of",
    )
    publish: PublishTo | None = None
    notify: str | None = Field(
        default=None,
        max_length=2000,
        description="https address that is told when it is ready, failed or cancelled, and when "
        "what was asked of it is done",
    )
    tasks: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        default=None, max_length=50, description="tasks of lm-eval to run for every member"
    )
    task_limit: int | None = Field(
        default=None, ge=1, le=10**9, description="examples of each task; all without it"
    )

    @field_validator("budget", mode="before")
    @classmethod
    def _a_budget(cls, value: Any) -> Any:
        # Before pydantic makes a number of `true`. Raises BadBudget.
        if value is not None:
            Budget.parse(value)
        return value

    @field_validator("teacher", "student", "data", "base")
    @classmethod
    def _one_spelling(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._one_spelling(one) for one in value]
        return (value.rstrip("/") or "/") if isinstance(value, str) else value


class KeptRequest(FamilyRequest):
    """A request as the service keeps it, once it knows where to publish and as whom."""

    publish: KeptPublishTo | None = None

    def anew(self) -> FamilyRequest:
        """The same, asked by nobody: a token of a requester is for what that one asked alone."""
        if self.publish is None or self.publish.credential is None:
            return self
        return self.model_copy(update={"publish": None})


@dataclass(frozen=True, slots=True)
class Heal:
    """The size of a family that is to be healed; without a `recipe` the family's, made for that."""

    family: str
    size: str
    steps: int | None
    recipe: Recipe | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a family; `request` is what the catalog keeps of it.

    `wanted` is the budget as a request upon the family says it. Where neither `student` nor `base`
    nor what to `heal` is named, a student is to be distilled; `map_named` is whether somebody said
    which layers it keeps, or how they are found. What is healed needs no `text` of its own: it is
    that of its family.
    """

    request: dict[str, Any]
    teacher: str
    revision: str | None
    student: str | None
    base: str | None
    heal: Heal | None
    kept: tuple[int, ...] | None
    map_named: bool
    recipe: Recipe
    text: tuple[Dataset | Path, ...]
    order: str
    sizes: tuple[str, ...]
    budget: Budget | None
    wanted: str
    publish: PublishTo | None
    notify: str | None
    tasks: dict[str, int | None] | None


def read(body: FamilyRequest, settings: Settings) -> Asked:
    """Read a body. Raises BadName, BadRecipe, or BadRequest where two fields do not go together."""
    _refuse_together(body)
    if body.notify is not None:
        target(settings, body.notify)
    recipe = Recipe.load(settings.recipe) if body.recipe is None else _recipe(body.recipe)
    if body.kept is not None and body.student is None:
        recipe = recipe.override(kept=body.kept, name="custom")
    if body.map is not None and (body.map != recipe.map or recipe.kept is not None):
        recipe = recipe.override(map=body.map, name="custom")
    fields = body.recipe if isinstance(body.recipe, dict) else {}
    budget = None if body.budget is None else Budget.parse(body.budget)
    wanted = ""
    if budget is not None:
        wanted = budget.text if isinstance(body.budget, str) else str(budget.parameters)
    return Asked(
        request=body.model_dump(mode="json", exclude={"notify"}),
        teacher=body.teacher,
        revision=body.revision,
        student=body.student,
        base=body.base,
        heal=_heal(body, recipe),
        kept=None if body.kept is None else tuple(body.kept),
        map_named=body.map is not None
        or body.kept is not None
        or not fields.keys().isdisjoint(_MAP),
        recipe=recipe,
        text=_texts(settings, body.data),
        order=body.order,
        sizes=tuple(body.sizes or ()),
        budget=budget,
        wanted=wanted,
        publish=body.publish,
        notify=body.notify,
        tasks=dict.fromkeys(body.tasks or (), body.task_limit) or None,
    )


def _heal(body: FamilyRequest, recipe: Recipe) -> Heal | None:
    if body.heal is None:
        return None
    named = None if body.recipe is None else recipe
    return Heal(body.heal.family, body.heal.size, body.heal.steps, named)


def _refuse_together(body: FamilyRequest) -> None:
    beside = (body.student, body.base, body.kept)
    if body.heal is not None and any(one is not None for one in beside):
        raise BadRequest(
            "A size to heal was given beside another student, or what it keeps.",
            value=body.heal.family,
            fix="Leave out student, base and kept: what is healed is a size of that family.",
        )
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

    if body.map is not None and any(
        one is not None for one in (body.kept, body.base, body.heal, body.student)
    ):
        raise BadRequest(
            "A rule for the layers to keep was given beside what says them already.",
            value=body.map,
            fix="Leave map out, or kept, base, heal and student.",
        )


_MAP = ("map", "kept")
"""The fields of a recipe that say which layers are kept."""


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
