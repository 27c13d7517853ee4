"""The Hub's reading interface: `HF_ENDPOINT=http://host` makes its client load members from here.

Routes, headers and error codes are those that huggingface_hub, transformers and mirrors use;
nothing can be written.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from app.deps import Service, ServiceDep
from app.hub.answers import Answers
from app.hub.listing import PAGE, Wanted, listed
from app.hub.paths import BRANCH, MAIN, parts_after, split_revision
from app.security import check_may_have
from app.serving.answers import FOR_EVER, FRESH, serve
from app.serving.volumes import Volume
from boomerang.errors import BadRequest, BoomerangError, GatedTeacher, HubFailure

router = APIRouter(tags=["hub"])

MODEL = "/api/models/{ns}/{name}"
TREE_PAGE, EXPANDED_PAGE = 1000, 50
"""Entries of a tree on one page, as on the Hub."""

_Expand = Annotated[list[str] | None, Query()]


def _reads(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A route for GET, and for HEAD as mirrors ask."""

    def install(handler: Callable[..., Any]) -> Callable[..., Any]:
        router.head(path, response_model=None, include_in_schema=False)(handler)
        router.get(path, response_model=None)(handler)
        return handler

    return install


def _refused(status: int, code: str, what: str, commit: str | None = None) -> JSONResponse:
    """An error as the Hub's client reads it: a code that it knows, and a message for people."""
    # A header is read alike by everybody only as printable ASCII; the name came with the request.
    said = "".join(c if c.isprintable() and c.isascii() else "?" for c in what)
    headers = {"X-Error-Code": code, "X-Error-Message": said[:500]}
    if commit is not None:
        headers["X-Repo-Commit"] = commit
    return JSONResponse({"error": what[:2000]}, status, {k: v for k, v in headers.items() if v})


def _volume(service: Service, repo: str, revision: str) -> Volume | JSONResponse:
    member = service.volumes.by_repo(repo)
    if member is None:
        return _refused(404, "RepoNotFound", f"There is no model {repo}.")
    try:
        volume = (
            service.volumes.open(member)
            if revision in (MAIN, BRANCH)
            else service.volumes.at(member, revision)
        )
    except HubFailure:
        raise
    except GatedTeacher as error:
        return _refused(403, "GatedRepo", service.redact(f"{repo}: {error}"))
    except BoomerangError as error:
        # Not ready, changed or gone: another status the client reports as a network that is down.
        return _refused(404, "RepoNotFound", service.redact(f"{repo}: {error}"))
    if volume is None:
        return _refused(404, "RevisionNotFound", f"{repo} has no revision {revision}.")
    return volume


async def _answer(
    service: Service, repo: str, revision: str, make: Callable[[Answers], Response]
) -> Response:
    """What `make` says of a repository at a revision, or why there is none."""

    def work() -> Response:
        volume = _volume(service, repo, revision)
        if isinstance(volume, Response):
            return volume
        answer = make(Answers(volume, service.settings, service.catalog))
        answer.headers["X-Repo-Commit"] = volume.revision
        return answer

    return await service.lanes.answered(work)


@_reads("/api/models")
async def models(
    request: Request,
    service: ServiceDep,
    expand: _Expand = None,
    filter: _Expand = None,
    author: str = "",
    search: str = "",
    pipeline_tag: str = "",
    full: bool = False,
    config: bool = False,
    cardData: bool = False,  # noqa: N803
    limit: int = PAGE,
    cursor: int = 0,
    num_parameters: str = "",
    sort: str = "",
) -> Response:
    """What `list_models` asks: members that can be downloaded now."""
    wanted = Wanted(author, search, tuple(filter or ()), pipeline_tag, tuple(expand or ()),
                    full or config or cardData, limit, max(cursor, 0), num_parameters,
                    sort)  # fmt: skip
    page, following = await service.lanes.answered(lambda: listed(service, wanted))
    return JSONResponse(page, headers=_next(service, request, following))


@_reads(MODEL)
async def info(
    ns: str, name: str, service: ServiceDep, blobs: bool = False, expand: _Expand = None
) -> Response:
    """What `model_info` asks at no revision."""
    return await _info(service, f"{ns}/{name}", MAIN, blobs, expand)


@_reads(MODEL + "/revision/{revision:path}")
async def info_at(
    ns: str, name: str, revision: str, service: ServiceDep, blobs: bool = False,
    expand: _Expand = None,
) -> Response:  # fmt: skip
    """What `model_info` asks at a revision."""
    return await _info(service, f"{ns}/{name}", revision.rstrip("/"), blobs, expand)


async def _info(
    service: Service, repo: str, revision: str, blobs: bool, expand: list[str] | None
) -> Response:
    def make(answers: Answers) -> Response:
        return JSONResponse(answers.info(blobs=blobs, expand=expand or ()))

    return await _answer(service, repo, revision, make)


@_reads(MODEL + "/tree/{rest:path}")
async def tree(
    ns: str, name: str, rest: str, request: Request, service: ServiceDep,
    recursive: bool = False, expand: bool = False, limit: int | None = None, cursor: int = 0,
) -> Response:  # fmt: skip
    """The files and folders of a revision, in pages."""
    revision, folder = split_revision(parts_after(request, 4)[1:])
    folder = folder.strip("/")
    page = max(1, min(limit or TREE_PAGE, EXPANDED_PAGE if expand else TREE_PAGE))
    start = max(cursor, 0)

    def make(answers: Answers) -> Response:
        found = answers.tree(folder, recursive=recursive, expand=expand)
        if found is None:
            commit = answers.volume.revision
            return _refused(404, "EntryNotFound", f"There is no folder {folder}.", commit)
        following = start + page if start + page < len(found) else None
        headers = _next(service, request, following)
        return JSONResponse(found[start : start + page], headers=headers)

    return await _answer(service, f"{ns}/{name}", revision, make)


def _next(service: Service, request: Request, cursor: int | None) -> dict[str, str]:
    """The Link to the next page; the client follows only whole addresses."""
    if cursor is None:
        return {}
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    root = service.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    raw: bytes = request.scope["raw_path"]
    target = f"{root}{raw.decode('latin-1')}?{urlencode([*query, ('cursor', cursor)])}"
    return {"Link": f'<{target}>; rel="next"'}


@router.post(MODEL + "/paths-info/{revision:path}", response_model=None)
async def paths_info(
    ns: str, name: str, revision: str, request: Request, service: ServiceDep
) -> Response:
    """Facts about the named files and folders."""
    paths, expand = await _asked(request)
    return await _answer(service, f"{ns}/{name}", revision.rstrip("/"),
                         lambda a: JSONResponse(a.entries(paths, expand=expand)))  # fmt: skip


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


@_reads(MODEL + "/refs")
async def refs(ns: str, name: str, service: ServiceDep) -> Response:
    """Branches and tags."""
    return await _answer(service, f"{ns}/{name}", MAIN, lambda a: JSONResponse(a.refs()))


@_reads(MODEL + "/commits/{revision:path}")
async def commits(ns: str, name: str, revision: str, service: ServiceDep) -> Response:
    """The history of a revision."""
    return await _answer(service, f"{ns}/{name}", revision.rstrip("/"),
                         lambda a: JSONResponse(a.commits()))  # fmt: skip


@_reads(MODEL + "/auth-check")
async def auth_check(ns: str, name: str, service: ServiceDep) -> Response:
    """Whether the asker may read: whoever comes this far may."""
    return await _answer(service, f"{ns}/{name}", MAIN, lambda a: JSONResponse({}))


@_reads("/{ns}/{name}/resolve/{revision}/{file:path}")
async def resolve(
    ns: str, name: str, revision: str, file: str, request: Request, service: ServiceDep
) -> Response:
    """One file at a revision."""
    revision, file = split_revision(parts_after(request, 2)[1:])
    volume = await service.lanes.answered(lambda: _volume(service, f"{ns}/{name}", revision))
    if isinstance(volume, Response):
        return volume
    try:
        check_may_have(request, volume.family)
    except GatedTeacher as error:
        return _refused(403, "GatedRepo", f"{volume.repo_id}: {error}")
    if file not in volume.files:
        what = f"{volume.repo_id} has no file {file}."
        return _refused(404, "EntryNotFound", what, volume.revision)
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
    return _refused(404, "RepoNotFound", f"There is no {what} here.")


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
        answer = _refused(405, "", read_only)
        answer.headers["Allow"] = "GET, HEAD"
        return answer
    if rest.endswith("/auth-check/write"):
        return _refused(403, "", read_only)
    kind, _, repo = rest.partition("/")
    if kind in ("models", "datasets", "spaces", "kernels") and repo:
        return _refused(404, "RepoNotFound", f"There is no {rest} here.")
    return _refused(404, "", f"The Hub's /api/{rest} is not served here.")
