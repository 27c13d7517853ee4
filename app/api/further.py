"""What is asked of a family that there is: publish it, measure it, begin anew with what failed."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app import actions
from app.api.families import STARTED, HubToken, started
from app.context import ContextDep
from app.openapi import problems
from app.schemas.families import FamilyAnswer
from boomerang.service.intake.further import MeasureRequest, PublishRequest

router = APIRouter(prefix="/families/{id_}", tags=["families"])


@router.post(
    "/publish",
    status_code=202,
    response_model=FamilyAnswer,
    responses=STARTED | problems(403, 404, 409, 422, 502, 503),
)
async def publish(
    id_: str, body: PublishRequest, request: Request, context: ContextDep, token: HubToken = None
) -> Response:
    """Push sizes of a family to the Hub once they are there; the same as asking for it with that.

    `X-Hub-Token` is as of `POST /families`. What was pushed already is not pushed again. The key
    that asks owns the family, too.
    """
    id_ = await actions.publish(request, context, id_, body, token)
    return await context.lanes.answered(lambda: started(request, context, id_))


@router.post(
    "/measure",
    status_code=202,
    response_model=FamilyAnswer,
    responses=STARTED | problems(404, 409, 422),
)
def measure(
    id_: str, request: Request, context: ContextDep, body: MeasureRequest | None = None
) -> Response:
    """Measure a family that was not, or by more tasks, beside those that it has.

    The key that asks owns the family, too.
    """
    asked = body or MeasureRequest()
    tasks = dict.fromkeys(asked.tasks or (), asked.task_limit)
    return started(request, context, actions.measure(request, context, id_, tasks))


@router.post(
    "/retry",
    status_code=202,
    response_model=FamilyAnswer,
    responses=STARTED | problems(403, 404, 409),
)
def retry(id_: str, request: Request, context: ContextDep) -> Response:
    """Begin anew with what of a family failed or was cancelled; nothing else is done again.

    It takes owning the family, or the scope `admin`. What was to be published is tried again for
    keys with the scope `publish`, but for what was asked with a token of the Hub: that takes asking
    with the token.
    """
    return started(request, context, actions.retry(request, context, id_))
