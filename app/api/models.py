"""Sizes: listed, described, downloaded whole as a tar or file by file."""

import re
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from app.api.families import wants_page
from app.api.schemas import member_json
from app.deps import Service, ServiceDep
from app.errors import problem
from app.security import check_may_have
from app.serving.answers import serve
from app.serving.volumes import Volume
from boomerang.catalog.records.members import Member

router = APIRouter(prefix="/models", tags=["models"])

VARY = {"Vary": "Accept"}


@router.get("")
def index(service: ServiceDep, family: str | None = None) -> dict[str, Any]:
    """Every size, built or not, with its measures."""
    names = service.volumes.names()
    if family is not None:
        found = list(service.volumes.ladder(family))
    else:
        ladders = service.volumes.known().ladders()
        found = [member for ladder in ladders.values() for member in ladder]
    found.sort(key=lambda member: (member.parameters, member.family))
    return {"models": [member_json(m, names[m.family], service.redact) for m in found]}


@router.head("/{size}", response_model=None, include_in_schema=False)
@router.get("/{size}", response_model=None)
async def download(
    size: str, request: Request, service: ServiceDep, family: str | None = None
) -> Response:
    """The whole model as one tar; its record as JSON, or its page, where that is asked for."""

    def answer() -> Response | Volume:
        found = service.volumes.find(size, family)
        elsewhere = _elsewhere(request, service, size, found, "")
        if elsewhere is not None:
            return elsewhere
        member = found[0]
        if wants_page(request):
            from app.pages.pages import member_page

            return member_page(member, request, service)
        if _wants_json(request):
            name = service.volumes.names()[member.family]
            return JSONResponse(member_json(member, name, service.redact), headers=VARY)
        check_may_have(request, service.volumes.known().family(member.family))
        return _opened(service, member)

    # One thread for all of it: each hop costs as much as a question to the catalog.
    volume = await service.lanes.answered(answer)
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
@router.get("/{size}/{file:path}", response_model=None)
async def one_file(
    size: str, file: str, request: Request, service: ServiceDep, family: str | None = None
) -> Response:
    """One file of the model."""

    def answer() -> Response | Volume:
        found = service.volumes.find(size, family)
        elsewhere = _elsewhere(request, service, size, found, f"/{quote(file)}")
        if elsewhere is None:
            check_may_have(request, service.volumes.known().family(found[0].family))
        return elsewhere or service.volumes.open(found[0])

    volume = await service.lanes.answered(answer)
    if isinstance(volume, Response):
        return volume
    return await serve(request, volume.file(file), etag=volume.etag(file))


def _opened(service: Service, member: Member) -> Volume:
    """A member whose tar has its headers, which are made here and not on the event loop."""
    volume = service.volumes.open(member)
    _ = volume.tar
    return volume


def _elsewhere(
    request: Request, service: Service, size: str, found: tuple[Member, ...], rest: str
) -> Response | None:
    """307 from a budget to a size. Where several families have it, 300 with the choices.

    What asks for the file alone must not take the choices for it, which 300 does not prevent.
    """
    if len(found) > 1:
        if not (_wants_json(request) or wants_page(request)):
            ways = ", ".join(sorted(member.family for member in found))
            return problem(409, "ambiguous", "Several have that size",
                           f"{len(found)} families have {size!r}.", value=size,
                           fix=f"Say which, as ?family=: {ways}.", headers=VARY)  # fmt: skip
        names = service.volumes.names()
        choices = [member_json(m, names[m.family], service.redact) for m in found]
        return JSONResponse({"choices": choices}, 300, VARY)
    member = found[0]
    if member.size.casefold() == size.casefold():
        return None
    query = {**dict(request.query_params), "family": member.family}
    return RedirectResponse(f"/models/{member.size}{rest}?{urlencode(query)}", 307, VARY)


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
