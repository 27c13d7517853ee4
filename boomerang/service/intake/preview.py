"""What a request would be, from headers alone: nothing is recorded, hashed or sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from boomerang.catalog.catalog import Catalog
from boomerang.checkpoint.folders import refuse_without_derivatives
from boomerang.errors import BadRequest
from boomerang.family.fits import Fit, fits
from boomerang.family.ladder import Bought, Ladder, Member
from boomerang.family.layer_map import parse_layers
from boomerang.family.memory import (
    CONTEXT,
    MOST_CONTEXT,
    RUNTIMES,
    Memory,
    Need,
    RuntimeName,
    cached_as,
    item_bytes,
)
from boomerang.family.pair import Pair
from boomerang.hub.find import Found
from boomerang.recipes.maps import MapRule
from boomerang.recipes.recipe import Recipe
from boomerang.service.effort import Effort, effort_of
from boomerang.service.intake.asked import Asked, FamilyRequest, read
from boomerang.service.intake.planned import cost_of, pair_to_distil, refuse_order_in_full
from boomerang.service.models.members import ladder_of
from boomerang.service.settings import Settings


class PlanQuery(BaseModel):
    """`GET /plan`: the fields of a request that make its ladder, and how a member would be run."""

    model_config = ConfigDict(extra="forbid")

    teacher: str = Field(min_length=1, max_length=300, description="Hub repo id, or a folder")
    revision: str | None = Field(default=None, max_length=200)
    student: str | None = Field(default=None, max_length=300, description="a student there is")
    recipe: str | None = Field(default=None, max_length=100, description="name of a recipe")
    order: str = Field(default="auto", max_length=2000)
    kept: str | None = Field(
        default=None, max_length=8000, description="teacher layers that the student keeps: 0,2,4"
    )
    map: MapRule | None = None
    budget: str | None = Field(default=None, max_length=100, description="2.9B, 6GB, a size")
    context: int = Field(default=CONTEXT, ge=1, le=MOST_CONTEXT, description="tokens")
    dtype: str = Field(default="bfloat16", max_length=20, description="of weights that are run")
    runtime: RuntimeName = Field(default="transformers", description="program that runs them")

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_unsaid(cls, value: Any, info: Any) -> Any:
        # A form sends every field that it has.
        if isinstance(value, str) and not value.strip():
            return cls.model_fields[info.field_name].default
        return value.strip() if isinstance(value, str) else value

    @property
    def request(self) -> FamilyRequest:
        """The request whose family this would be. Raises BadBudget, BadRequest."""
        return FamilyRequest(
            teacher=self.teacher,
            revision=self.revision,
            student=self.student,
            recipe=self.recipe,
            order=self.order,
            kept=None if self.kept is None else list(parse_layers(self.kept)),
            map=self.map,
            budget=self.budget,
        )


@dataclass(frozen=True)
class Preview:
    """A family before it is asked for; `needs` has what running each member takes.

    Without a `recipe` nothing is to be distilled: the student is there. A `provisional` ladder is
    of as many layers as the student will keep: which ones is measured first.
    """

    query: PlanQuery
    teacher: Found
    pair: Pair
    ladder: Ladder
    memory: Memory
    bought: Bought | None
    recipe: Recipe | None
    cost: dict[str, Any]
    effort: Effort | None

    @property
    def provisional(self) -> bool:
        """Whether the layers that the student keeps are to be measured first."""
        return self.recipe is not None and self.recipe.measures

    @property
    def longest(self) -> int | None:
        """The tokens that the teacher's config says it was made for, where it says so."""
        config = self.pair.teacher.config
        said = [config.get(key) for key in ("max_position_embeddings", "n_positions")]
        return next((one for one in said if type(one) is int and one > 0), None)

    def need(self, member: Member, context: int, dtype: str, bits: float | None = None) -> Need:
        """What running a member takes; with `bits` a weight is stored in so many, on average."""
        weights = member.parameters * item_bytes(dtype)
        if bits is not None:
            weights = round(member.parameters * bits / 8)
        layers = [layer.teacher_index for layer in member.composition.layers]
        kept = cached_as(dtype)
        return self.memory.needs(weights, layers, context, dtype=kept, runtime=self.query.runtime)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What each member takes as the query says."""
        context, dtype = self.query.context, self.query.dtype
        return tuple(self.need(member, context, dtype) for member in self.ladder.members)

    @property
    def fits(self) -> tuple[Fit, ...]:
        """What devices hold."""
        share = RUNTIMES[self.query.runtime].share
        needs = zip(self.ladder.members, self.needs, strict=True)
        return fits([(member.parameters, need.total) for member, need in needs], share=share)


def preview(
    settings: Settings, catalog: Catalog, query: PlanQuery, find: Callable[..., Found]
) -> Preview:
    """Plan what a query says. Raises whatever would be wrong with the request, but for its text.

    Models are found by `find`, of a name and perhaps a revision (service.teachers). Embeddings are
    not compared: whether a student has its teacher's is believed of its record.
    """
    item_bytes(query.dtype)
    asked = read(query.request, settings)
    teacher = find(asked.teacher, asked.revision)
    refuse_without_derivatives(teacher.name, teacher.license)
    recipe = None if asked.student is not None else asked.recipe
    pair = _given(asked, teacher, find) if recipe is None else pair_to_distil(recipe, teacher)
    if recipe is not None and recipe.measures:
        refuse_order_in_full(asked)
    ladder = ladder_of(pair, asked.order)
    cost = cost_of(ladder, recipe)
    return Preview(
        query=query,
        teacher=teacher,
        pair=pair,
        ladder=ladder,
        memory=Memory.of(pair.teacher),
        bought=None if asked.budget is None else ladder.buy(query.budget),
        recipe=recipe,
        cost=cost,
        effort=effort_of(settings, catalog, ladder, recipe),
    )


def _given(asked: Asked, teacher: Found, find: Callable[..., Found]) -> Pair:
    if asked.student is None:
        raise BadRequest("No student was named.", value=None, fix="Name one.")
    student = find(asked.student)
    refuse_without_derivatives(student.name, student.license)
    return Pair.of(teacher.checkpoint, student.checkpoint, kept=asked.kept, verify=False)
