"""What the Hub's client asks about repositories: lists, facts, trees, commits, files."""

import json
from typing import Annotated
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from app.context import Context, ContextDep
from app.hub.answers import MAIN, Answers
from app.hub.opening import (
    REFUSED,
    Listed,
    Wanted,
    answered,
    listed,
    opened,
    reads,
    refused,
    revision_and_path,
)
from app.openapi import Responses, download_of, headers, problems
from app.schemas.hub import HubCommit, HubEntry, HubModel, HubNothing, HubPaths, HubRefs
from app.security.keys import check_may_have
from app.serving.responses import FOR_EVER, FRESH, serve
from boomerang.errors import BadRequest, GatedTeacher

router = APIRouter(tags=["hub"])

MODEL = "/api/models/{ns}/{name}"
TREE_PAGE, EXPANDED_PAGE = 1000, 50
"""Entries of a tree on one page, as on the Hub."""

_PAGED: Responses = {200: {"headers": headers(Link="where the next page is, rel=next")}}
_PATHS = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"$ref": f"#/components/schemas/{HubPaths.__name__}"}}
            for kind in ("application/json", "application/x-www-form-urlencoded")
        },
    }
}


@reads(router, "/api/models", list[HubModel], responses=_PAGED | problems(422, 503))
async def models(
    request: Request, context: ContextDep, wanted: Annotated[Wanted, Depends()]
) -> Response:
    """What `list_models` asks: members that can be downloaded now."""
    page, following = await context.lanes.answered(lambda: listed(context, wanted))
    return JSONResponse(page, headers=_next(context, request, following))


@reads(router, MODEL, HubModel, responses=REFUSED)
async def info(
    ns: str, name: str, context: ContextDep, blobs: bool = False, expand: Listed = None
) -> Response:
    """What `model_info` asks at no revision."""
    return await answered(context, f"{ns}/{name}", MAIN,
                          lambda a: a.info(blobs=blobs, expand=expand))  # fmt: skip


@reads(router, MODEL + "/revision/{revision:path}", HubModel, responses=REFUSED)
async def info_at(
    ns: str, name: str, revision: str, context: ContextDep, blobs: bool = False,
    expand: Listed = None,
) -> Response:  # fmt: skip
    """What `model_info` asks at a revision."""
    return await answered(context, f"{ns}/{name}", revision.rstrip("/"),
                          lambda a: a.info(blobs=blobs, expand=expand))  # fmt: skip


@reads(router, MODEL + "/tree/{rest:path}", list[HubEntry], responses=_PAGED | REFUSED)
async def tree(
    ns: str, name: str, rest: str, request: Request, context: ContextDep,
    recursive: bool = False, expand: bool = False, limit: int | None = None, cursor: int = 0,
) -> Response:  # fmt: skip
    """The files and folders of a revision, in pages."""
    revision, folder = revision_and_path(request, 4)
    folder = folder.strip("/")
    page = max(1, min(limit or TREE_PAGE, EXPANDED_PAGE if expand else TREE_PAGE))
    start = max(cursor, 0)

    def make(answers: Answers) -> Response:
        found = answers.tree(folder, recursive=recursive, expand=expand)
        if found is None:
            commit = answers.volume.revision
            return refused(404, "EntryNotFound", f"There is no folder {folder}.", commit)
        following = start + page if start + page < len(found) else None
        headers = _next(context, request, following)
        return JSONResponse(found[start : start + page], headers=headers)

    return await answered(context, f"{ns}/{name}", revision, make)


def _next(context: Context, request: Request, cursor: int | None) -> dict[str, str]:
    """The Link to the next page; the client follows only whole addresses."""
    if cursor is None:
        return {}
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    root = context.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    raw: bytes = request.scope["raw_path"]
    target = f"{root}{raw.decode('latin-1')}?{urlencode([*query, ('cursor', cursor)])}"
    return {"Link": f'<{target}>; rel="next"'}


@router.post(
    MODEL + "/paths-info/{revision:path}",
    response_model=list[HubEntry],
    responses=REFUSED | problems(422),
    openapi_extra=_PATHS,
)
async def paths_info(
    ns: str, name: str, revision: str, request: Request, context: ContextDep
) -> Response:
    """Facts about the named files and folders."""
    paths, expand = await _asked(request)
    return await answered(context, f"{ns}/{name}", revision.rstrip("/"),
                          lambda a: a.entries(paths, expand=expand))  # fmt: skip


async def _asked(request: Request) -> tuple[list[str], bool]:
    """The paths that are asked about: the client sends a form, others send JSON."""
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        found = found if isinstance(found, dict) else {}
        paths, expand = found.get("paths"), found.get("expand") is True
    else:
        form = parse_qs(body.decode("utf-8", "replace"))
        paths, expand = form.get("paths", []), form.get("expand", [""])[-1].lower() in ("true", "1")
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BadRequest("paths is no list of names.", fix='Send {"paths": ["config.json"]}.')
    return paths, expand


@reads(router, MODEL + "/refs", HubRefs, responses=REFUSED)
async def refs(ns: str, name: str, context: ContextDep) -> Response:
    """Branches and tags."""
    return await answered(context, f"{ns}/{name}", MAIN, lambda a: a.refs())


@reads(router, MODEL + "/commits/{revision:path}", list[HubCommit], responses=REFUSED)
async def commits(ns: str, name: str, revision: str, context: ContextDep) -> Response:
    """The history of a revision."""
    return await answered(context, f"{ns}/{name}", revision.rstrip("/"), lambda a: a.commits())


@reads(router, MODEL + "/auth-check", HubNothing, responses=REFUSED)
async def auth_check(ns: str, name: str, context: ContextDep) -> Response:
    """Whether the asker may read: whoever comes this far may."""
    return await answered(context, f"{ns}/{name}", MAIN, lambda a: {})


_FILE = download_of(
    "application/octet-stream",
    X_Repo_Commit="the revision that it is of",
    X_Linked_Size="its bytes",
    X_Linked_ETag="its ETag",
)


@reads(
    router,
    "/{ns}/{name}/resolve/{revision}/{file:path}",
    response_class=Response,
    responses=_FILE | REFUSED,
)
async def resolve(
    ns: str, name: str, revision: str, file: str, request: Request, context: ContextDep
) -> Response:
    """One file at a revision."""
    revision, file = revision_and_path(request, 2)
    volume = await context.lanes.answered(lambda: opened(context, f"{ns}/{name}", revision))
    if isinstance(volume, Response):
        return volume
    try:
        check_may_have(request, volume.family)
    except GatedTeacher as error:
        return refused(403, "GatedRepo", f"{volume.repo_id}: {error}")
    if file not in volume.files:
        what = f"{volume.repo_id} has no file {file}."
        return refused(404, "EntryNotFound", what, volume.revision)
    etag = volume.etag(file)
    headers = {
        "X-Repo-Commit": volume.revision,
        "X-Linked-Size": str(volume.files[file].size),
        "X-Linked-ETag": f'"{etag}"',
        "Cache-Control": FOR_EVER if revision == volume.revision else FRESH,
    }
    return await serve(request, volume.files[file], etag=etag, headers=headers)


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
