"""The page that asks for a family: with its ladder, from headers alone, before anything is done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import ValidationError

from app.context import Context, ContextDep
from app.errors import STATUS
from app.pages.new.ladder import ladder_facts, powers
from app.pages.rendering import page, templates
from app.schemas.plan import plan_json
from app.views import Representation, preferred
from boomerang import recipes
from boomerang.catalog.records.families import Family
from boomerang.errors import BadRequest, BoomerangError
from boomerang.family.ladder import short_count
from boomerang.family.order_forms import ORDERS
from boomerang.hub.hurry import NeedsHub, without_hub
from boomerang.recipes.healing import HEAL
from boomerang.recipes.maps import MapRule
from boomerang.service.intake.preview import PlanQuery, Preview, preview

router = APIRouter(include_in_schema=False)
templates.env.filters |= {"powers": powers, "amount": short_count}

PLANNED = ("teacher", "revision", "student", "recipe", "order", "kept", "map", "context", "dtype")
"""Fields that make a ladder, or say how a size is run."""
FIELDS = (
    *PLANNED, "budget", "text", "base", "tasks", "task_limit", "notify", "publish_namespace",
    "publish_private",
)  # fmt: skip
"""Every field of the form."""
LATEST = 3
"""Families of the same teacher that are told of."""
RECIPES = {
    "default": "base models",
    "instruct": "teachers tuned to follow instructions",
    "published": "the published recipe as it is",
    "smoke": "seconds, to see that all works",
}
"""Recipes in words; others go by their names."""
_RULES: Mapping[MapRule, str] = {
    "published": "by depth alone, nothing is measured",
    "similarity": "by how alike neighbouring layers are",
    "divergence": "by what leaving a layer out changes",
}
_TELLS = {
    "bad-recipe": "recipe", "bad-composition": "order", "student-mismatch": "student",
    "bad-budget": "budget", "budget-out-of-range": "budget",
}  # fmt: skip
"""The field that an error of the ladder is about, where its value does not say."""


@router.get("/new", response_class=HTMLResponse)
async def new(request: Request, context: ContextDep) -> Response:
    """The form; with a teacher typed, its ladder; as JSON that alone."""
    said = request.query_params
    typed = {name: said[name] for name in FIELDS if said.get(name)}
    if "publish_namespace" not in typed:
        # Its box is ticked from the beginning.
        typed.pop("publish_private", None)
    part = said.get("part")
    # What fetches parts says that it takes anything.
    if part is None and preferred(request.headers) is not Representation.PAGE:
        return await context.lanes.answered(lambda: _as_json(context, typed))
    if part is None and len(typed) != len(said):
        # A form sends all that it has. What is kept in a browser's history need not be there.
        return RedirectResponse(f"/new?{urlencode(typed)}" if typed else "/new", 303)

    def shown() -> Response:
        ladder, errors = _ladder(context, typed)
        # A part that is shown in a page is no error of that page.
        wrong = next((one.status for one in errors.values()), 200) if part is None else 200
        words = {field: one.words for field, one in errors.items()}
        return _shown(request, context, typed, words, ladder, wrong)

    return await context.lanes.answered(shown)


def form(
    request: Request,
    context: Context,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 422,
) -> Response:
    """The form once more, with what was typed and what is wrong of it, by field.

    Its ladder is there where the Hub need not be asked for it.
    """
    ladder = None
    try:
        with without_hub():
            ladder, _ = _ladder(context, typed)
    except NeedsHub:
        # The page asks for it.
        pass
    return _shown(request, context, typed, errors, ladder, status)


def blank(context: Context) -> dict[str, Any]:
    """What the form's template needs where it stands in another page, with nothing typed."""
    return _facts(context, {}, {}, None)


class _Wrong:
    """What is wrong, as a sentence, and the status of a page that says it."""

    def __init__(self, error: BoomerangError, context: Context) -> None:
        self.status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
        self.words = context.redact(f"{error.detail} {error.fix}".strip())


def _as_json(context: Context, typed: Mapping[str, str]) -> Response:
    made = _preview(context, typed)
    return JSONResponse(context.redact(plan_json(made)))


def _preview(context: Context, typed: Mapping[str, str]) -> Preview:
    return preview(context.settings, context.catalog, _query(typed), context.teachers.find)


def _query(typed: Mapping[str, str]) -> PlanQuery:
    try:
        return PlanQuery.model_validate({name: typed[name] for name in PLANNED if name in typed})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "teacher"
        raise BadRequest(
            f"{name}: {first['msg']}.", value=typed.get(name), fix="Correct it."
        ) from None


def _ladder(
    context: Context, typed: Mapping[str, str]
) -> tuple[dict[str, Any] | None, dict[str, _Wrong]]:
    """The facts of the ladder that was asked for, or what is wrong, by field."""
    if not typed.get("teacher", "").strip():
        return None, {}
    try:
        made: Preview = _preview(context, typed)
    except BoomerangError as error:
        about = [n for n in PLANNED if error.value is not None and typed.get(n) == error.value]
        field = about[0] if about else _TELLS.get(error.slug, "teacher")
        return None, {field: _Wrong(error, context)}
    return ladder_facts(made, typed.get("budget"), _there(context, made.teacher.name)), {}


def _there(context: Context, teacher: str) -> list[dict[str, str]]:
    """The latest families of a teacher, with the states of their students."""
    found = context.catalog.family_page(teacher, limit=LATEST)
    return [
        {
            "id": family.id,
            "name": found.names.get(family.id, family.name),
            "state": str(found.students[family.student].state),
        }
        for family in found.families
        if isinstance(family, Family) and family.teacher == teacher
    ]


def _facts(
    context: Context,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    ladder: Mapping[str, Any] | None,
) -> dict[str, Any]:
    settings = context.settings
    names = sorted(file.stem for file in Path(recipes.__path__[0]).glob("*.toml"))
    kept = [name for name in RECIPES if name in names]
    others = [name for name in names if name not in RECIPES and name != HEAL]
    return {
        "typed": typed,
        "errors": errors,
        "plan": ladder,
        "recipes": [(name, RECIPES.get(name, "")) for name in [*kept, *others]],
        "own_recipe": settings.recipe,
        "orders": ORDERS,
        "rules": _RULES,
        "own_text": settings.data is not None,
        "has_folders": settings.models is not None,
        "namespace": settings.namespace,
    }


def _shown(
    request: Request,
    context: Context,
    typed: Mapping[str, str],
    errors: Mapping[str, str],
    ladder: Mapping[str, Any] | None,
    status: int,
) -> Response:
    facts = _facts(context, typed, errors, ladder)
    event = context.catalog.last_event()
    return page(request, context, "new/new.html", event, facts, status, parts=("ladder",))
