"""The form that asks for a family: no JavaScript is needed, and what was typed is never lost."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError

from app import actions
from app.context import ContextDep
from app.pages import new
from app.pages.forms import texts
from app.pages.forms.routes import seen
from app.security.forms import Posted
from boomerang.errors import BoomerangError
from boomerang.service.intake.asked import FamilyRequest

router = APIRouter(include_in_schema=False)


@router.post("/forms/families", response_class=HTMLResponse)
async def make(request: Request, context: ContextDep, form: Posted) -> Response:
    """Ask for a family; the form once more, with what was typed, where something is wrong."""
    said = texts.typed(form)
    token = said.pop("hub_token", None)

    async def again(errors: Mapping[str, str], status: int) -> Response:
        return await context.lanes.answered(
            lambda: new.form(request, context, said, errors, status)
        )

    try:
        body = FamilyRequest.model_validate(texts.family_fields(said))
        id_, _ = await actions.make(request, context, body, token)
    except ValidationError as error:
        return await again(texts.wrong_fields(error), 422)
    except BoomerangError as error:
        words = context.redact(texts.in_words(error))
        return await again({texts.wrong_field(error, said, words): words}, texts.status_of(error))
    return seen(id_, "asked")
