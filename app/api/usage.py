"""What a key used, and what it may use."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import Context, ContextDep
from app.openapi import problems
from app.schemas.usage import UsageAnswer, usage_view
from app.security.allowances.allowed import allowance_for, allowance_of
from app.security.keys import check_may, who
from boomerang.catalog.keys.keys import KeyNotFound
from boomerang.catalog.keys.owners import name_of_environment
from boomerang.catalog.keys.usage import NOBODYS
from boomerang.catalog.records.allowances import Allowance

router = APIRouter(tags=["service"])

DAYS = 31
_ENVIRONMENT = 12
"""Characters of the id of a key of the environment: the beginning of its sha256."""

Named = Annotated[
    str | None, Query(alias="key", max_length=64, description="id or name of another: admin's")
]


@router.get("/usage", response_model=UsageAnswer, responses=problems(404))
def usage(request: Request, context: ContextDep, named: Named = None) -> Response:
    """What the key of the request used of late; with `key` another's, for the scope `admin`."""
    me = who(request)
    if named is None or named in (me.id, me.name):
        id_, name, may = me.id or NOBODYS, me.name, allowance_of(request)
    else:
        check_may(request, "admin")
        id_, name, may = _other(context, named)
    catalog = context.catalog
    shown = usage_view(name, may, catalog.used(id_), catalog.usage(id_, DAYS), time.time())
    return JSONResponse(shown)


def _other(context: Context, named: str) -> tuple[str, str, Allowance]:
    """Id, name and allowance of a key by id or name. Raises KeyNotFound."""
    try:
        key = context.catalog.key(named)
    except KeyNotFound:
        digits = set(named) <= set("0123456789abcdef")
        if len(named) != _ENVIRONMENT or not digits or not context.catalog.usage(named, DAYS):
            raise
        return named, name_of_environment(named), context.settings.allowance
    may = allowance_for(context.settings, key, everything=key.scope == "admin")
    return key.id, key.name, may
