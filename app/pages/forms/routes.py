"""The forms of a family that there is. None of them needs JavaScript.

Each is checked to be this browser's (Posted), does what a request of the API does through
app/actions.py, and sends the browser on to where its result is seen; a reload repeats nothing.
"""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from app import actions
from app.context import ContextDep
from app.pages.forms import texts
from app.security.forms import Posted
from boomerang.errors import BadRequest
from boomerang.service.intake.further import PublishRequest

router = APIRouter(include_in_schema=False)


@router.post("/forms/families/{id_}/cancel")
def cancel(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Stop what is done for a family."""
    ended = actions.cancel(request, context, id_)
    return seen(id_, "cancelled" if ended else "let-go")


@router.post("/forms/families/{id_}/retry")
def retry(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Begin anew with what failed or was cancelled."""
    return seen(actions.retry(request, context, id_), "retry")


@router.post("/forms/families/{id_}/rebuild")
def rebuild(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Look at what there is and mend it; with `force` a new generation, which is a family too."""
    force = bool(form.get("force"))
    begun = actions.rebuild(request, context, id_, force=force)
    return seen(begun.family, "anew" if force else "rebuild")


@router.post("/forms/families/{id_}/measure")
def measure(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Measure what was not, and by more tasks."""
    tasks = texts.tasks(str(form.get("tasks", "")))
    return seen(actions.measure(request, context, id_, tasks), "measure")


@router.post("/forms/families/{id_}/publish")
async def publish(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Push a size, or every one, to the Hub."""
    said = texts.typed(form)
    fields = texts.publish_fields(said) | {"size": said.get("size", "")}
    try:
        body = PublishRequest.model_validate(fields)
    except ValidationError as error:
        [(name, words), *_] = texts.wrong_fields(error).items()
        raise BadRequest(f"{name or 'The form'}: {words}", fix="Go back and correct it.") from None
    token = said.get("hub_token")
    return seen(await actions.publish(request, context, id_, body, token), "publish")


@router.post("/forms/families/{id_}/delete")
def delete(id_: str, request: Request, context: ContextDep, form: Posted) -> Response:
    """Forget a family, or let go of one that others own, too."""
    if actions.delete(request, context, id_) is None:
        return seen(id_, "let-go")
    return RedirectResponse("/?done=deleted", 303)


def seen(id_: str, done: str) -> Response:
    """Send a browser on to a family, which says once what was `done` (a name of NOTICES)."""
    return RedirectResponse(f"/families/{id_}?done={done}", 303)
