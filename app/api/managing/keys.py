"""Keys of the catalog: made, listed, revoked; and what was done with them."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import ContextDep
from app.openapi import LOCATION, Responses, problems
from app.schemas.managing.keys import (
    AuditAnswer,
    KeyAnswer,
    KeyRequest,
    KeysAnswer,
    NewKeyAnswer,
    deed_json,
    key_json,
)
from app.security.sessions import Sessions

router = APIRouter(tags=["keys"])

_MADE: Responses = {201: {"headers": LOCATION}}
_NO_STORE = {"Cache-Control": "no-store"}
Before = Annotated[int | None, Query(ge=0, le=1 << 62, description="the id of a deed")]
Limit = Annotated[int, Query(ge=1, le=500)]
Of = Annotated[str | None, Query(max_length=64, description="id or name of a key")]


@router.get("/keys", response_model=KeysAnswer)
def index(context: ContextDep) -> Response:
    """The keys of the catalog; those of BOOMERANG_API_KEYS are not among them."""
    return JSONResponse({"keys": [key_json(one) for one in context.catalog.all_keys()]})


@router.post("/keys", status_code=201, response_model=NewKeyAnswer, responses=_MADE | problems(422))
def create(body: KeyRequest, request: Request, context: ContextDep) -> Response:
    """Make a key. It is told in this answer alone: the catalog keeps its sha256."""
    quotas = body.quotas.model_dump(exclude_none=True) if body.quotas else None
    key, written = context.catalog.create_key(
        body.name, body.scope, lasts=body.expires_in, quotas=quotas
    )
    _read_again(request)
    headers = {"Location": f"/keys/{key.id}"} | _NO_STORE
    return JSONResponse(key_json(key) | {"key": written}, 201, headers)


@router.get("/keys/{id_}", response_model=KeyAnswer, responses=problems(404))
def read(id_: str, context: ContextDep) -> Response:
    """A key by its id or its name."""
    return JSONResponse(key_json(context.catalog.key(id_)))


@router.delete("/keys/{id_}", response_model=KeyAnswer, responses=problems(404))
def revoke(id_: str, request: Request, context: ContextDep) -> Response:
    """End a key, by its id or its name: every front end refuses it within five seconds.

    What it owns stays, and what was begun with it goes on.
    """
    key = context.catalog.revoke_key(id_)
    _read_again(request)
    return JSONResponse(key_json(key))


@router.get("/audit", response_model=AuditAnswer, responses=problems(422))
def audit(
    context: ContextDep, before: Before = None, limit: Limit = 100, key: Of = None
) -> Response:
    """What was done with which key, newest first."""
    found = context.catalog.deeds(before=before, limit=limit + 1, key=key)
    shown, following = found[:limit], None
    if len(found) > limit:
        asked = {"before": shown[-1].id, "limit": limit} | ({} if key is None else {"key": key})
        following = f"/audit?{urlencode(asked)}"
    return JSONResponse({"deeds": [deed_json(one) for one in shown], "next": following})


def _read_again(request: Request) -> None:
    sessions: Sessions = request.app.state.sessions
    sessions.keys.read()
