"""Sizes: listed, described, downloaded whole as a tar or file by file."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import ContextDep
from app.openapi import LOCATION, Responses, download_of, problems
from app.schemas.members import ChoicesAnswer, MemberAnswer, MembersAnswer
from app.security.keys import check_may_have
from app.serving.catalog_cache import by_family
from app.serving.responses import serve
from app.serving.volume import Volume
from app.views import DOWNLOAD, VARY, Representation, chosen, member_views, preferred

router = APIRouter(prefix="/models", tags=["models"])

_TAR = download_of("application/x-tar", "text/html", Content_Disposition="its name", Vary="Accept")
_FILE = download_of("application/octet-stream")
_ELSEWHERE: Responses = {
    300: {"model": ChoicesAnswer, "description": "Several families have it, and JSON is read"},
    307: {"description": "The size that a budget buys", "headers": LOCATION},
    **problems(403, 404, 409, 410, 422, 502, 503),
}

Kept = Annotated[str | None, Query(alias=DOWNLOAD, description="the tar, whatever is accepted")]


@router.get("", response_model=MembersAnswer, responses=problems(404, 409))
def index(context: ContextDep, family: str | None = None) -> Response:
    """Every size, built or not, with its measures."""
    snapshot = context.cache.now()
    if family is not None:
        found = list(by_family(snapshot, family))
    else:
        found = [member for ladder in snapshot.ladders().values() for member in ladder]
    found.sort(key=lambda member: (member.parameters, member.family))
    return JSONResponse({"models": member_views(context, snapshot, found)})


@router.head("/{size}", response_model=None, include_in_schema=False)
@router.get("/{size}", response_model=MemberAnswer, responses=_TAR | _ELSEWHERE)
async def download(
    size: str, request: Request, context: ContextDep, family: str | None = None, keep: Kept = None
) -> Response:
    """The whole model as one tar; its record as JSON, or its page, where that is asked for."""

    def answer() -> Response | Volume:
        shows = preferred(request.headers)
        found = chosen(request, context, size, family)
        if isinstance(found, Response):
            return found
        snapshot, member = found
        if shows is Representation.JSON and keep is None:
            [shown] = member_views(context, snapshot, [member])
            return JSONResponse(shown, headers=VARY)
        check_may_have(request, snapshot.family(member.family))
        volume = context.volumes.open(snapshot, member)
        # Its headers are made here and not on the event loop.
        _ = volume.tar
        return volume

    # One thread for all of it: each hop costs as much as a question to the catalog.
    volume = await context.lanes.answered(answer)
    if isinstance(volume, Response):
        return volume
    name = volume.repo_id.rsplit("/", 1)[-1]
    # curl reads the plain name, browsers the other one (RFC 6266).
    plain, full = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII), quote(name)
    shown = f"attachment; filename=\"{plain}.tar\"; filename*=UTF-8''{full}.tar"
    headers = {**VARY, "Content-Disposition": shown}
    return await serve(request, volume.tar, etag=volume.etag(""), media_type="application/x-tar",
                       headers=headers)  # fmt: skip


@router.head("/{size}/{file:path}", response_model=None, include_in_schema=False)
@router.get("/{size}/{file:path}", response_class=Response, responses=_FILE | _ELSEWHERE)
async def one_file(
    size: str, file: str, request: Request, context: ContextDep, family: str | None = None
) -> Response:
    """One file of the model."""

    def answer() -> Response | Volume:
        found = chosen(request, context, size, family, f"/{quote(file)}")
        if isinstance(found, Response):
            return found
        snapshot, member = found
        check_may_have(request, snapshot.family(member.family))
        return context.volumes.open(snapshot, member)

    volume = await context.lanes.answered(answer)
    if isinstance(volume, Response):
        return volume
    return await serve(request, volume.file(file), etag=volume.etag(file))
