"""What the Hub has and this service has not: other kinds of repositories, and all that writes."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.hub.opening import refused

router = APIRouter(include_in_schema=False)


@router.api_route(
    "/{kind}/{ns}/{name}/resolve/{rest:path}", methods=["GET", "HEAD"], include_in_schema=False
)
@router.api_route("/{name}/resolve/{rest:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def resolve_others(request: Request) -> Response:
    """Data sets, spaces, and models without an owner: there are none."""
    what = request.url.path.strip("/").split("/resolve/")[0]
    return refused(404, "RepoNotFound", f"There is no {what} here.")


@router.api_route(
    "/api/{rest:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    response_model=None,
    include_in_schema=False,
)
async def others(rest: str, request: Request) -> Response:
    """What the Hub has besides: other kinds of repositories, accounts, and all that writes."""
    read_only = "Read-only: members come from POST /families, which can also push them to the Hub."
    if request.method not in ("GET", "HEAD"):
        answer = refused(405, "", read_only)
        answer.headers["Allow"] = "GET, HEAD"
        return answer
    if rest.endswith("/auth-check/write"):
        return refused(403, "", read_only)
    kind, _, repo = rest.partition("/")
    if kind in ("models", "datasets", "spaces", "kernels") and repo:
        return refused(404, "RepoNotFound", f"There is no {rest} here.")
    return refused(404, "", f"The Hub's /api/{rest} is not served here.")
