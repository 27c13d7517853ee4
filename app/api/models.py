"""Sizes: listed, described, downloaded whole as a tar or file by file."""

import re
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.context import Context, ContextDep
from app.openapi import LOCATION, Responses, download_of, problems
from app.schemas.members import ChoicesAnswer, MemberAnswer, MembersAnswer
from app.security.keys import check_may_have
from app.serving.catalog_cache import Snapshot, by_family
from app.serving.responses import serve
from app.serving.volume import Volume
from app.views import DOWNLOAD, VARY, Representation, chosen, member_views, preferred
from boomerang.catalog.records.families import Member
from boomerang.catalog.records.listing import SizePlace

router = APIRouter(prefix="/models", tags=["models"])

_TAR = download_of("application/x-tar", "text/html", Content_Disposition="its name", Vary="Accept")
_FILE = download_of("application/octet-stream")
_ELSEWHERE: Responses = {
    300: {"model": ChoicesAnswer, "description": "Several families have it, and JSON is read"},
    307: {"description": "The size that a budget buys", "headers": LOCATION},
    **problems(403, 404, 409, 410, 422, 502, 503),
}

PAGE = 100
Kept = Annotated[str | None, Query(alias=DOWNLOAD, description="the tar, whatever is accepted")]


@router.get("", response_model=MembersAnswer, responses=problems(404, 409))
def index(
    context: ContextDep,
    family: str | None = None,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="sizes of a page")] = None,
    after: Annotated[str | None, Query(max_length=60, description="see `next`")] = None,
) -> Response:
    """Every size, built or not, with its measures, smallest first.

    With `limit` or `after` it is one page of them, and says where the next is.
    """
    snapshot = context.cache.now()
    if limit is not None or after is not None:
        return _page(context, snapshot, family, limit or PAGE, after)
    if family is not None:
        return _listed(context, snapshot, by_family(snapshot, family))
    return Response(snapshot.told(lambda: _all(context, snapshot)), media_type="application/json")


def _all(context: Context, snapshot: Snapshot) -> bytes:
    every = (member for ladder in snapshot.ladders().values() for member in ladder)
    return bytes(_listed(context, snapshot, every).body)


def _listed(context: Context, snapshot: Snapshot, members: Iterable[Member]) -> JSONResponse:
    found = sorted(members, key=lambda member: (member.parameters, member.family))
    return JSONResponse({"models": member_views(context, snapshot, found)})


def _page(
    context: Context, snapshot: Snapshot, family: str | None, limit: int, after: str | None
) -> Response:
    begin = None if after is None else SizePlace.parse(after)
    if family is not None:
        # Raises for what is no family, or none yet.
        by_family(snapshot, family)
    of = None if family is None else snapshot.named(family)
    found, following = context.catalog.sizes_page(limit, begin, of)
    asked = {"limit": limit, "after": following, "family": family}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    more = None if following is None else f"/models?{query}"
    return JSONResponse({"models": member_views(context, snapshot, found), "next": more})


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
