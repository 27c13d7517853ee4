"""The Hub's reading interface: `HF_ENDPOINT=http://host` makes its client load members from here.

Routes and headers are those that huggingface_hub and transformers use; nothing can be written.
"""

import json
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from app.deps import Service, ServiceDep
from app.serving import serve
from app.volumes import Volume
from boomerang.errors import BadRequest, NotReady, SourceChanged

router = APIRouter(tags=["hub"])

_API = "/api/models/{ns}/{name}"


def _missing(code: str, what: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # A header holds printable Latin-1 only, and the name came with the request.
    said = "".join(c if c.isprintable() and ord(c) < 256 else "?" for c in what)
    shown = {"X-Error-Code": code, "X-Error-Message": said, **(headers or {})}
    return JSONResponse({"error": what}, 404, shown)


def _volume(service: Service, repo: str, revision: str) -> Volume | JSONResponse:
    member = service.volumes.by_repo(repo)
    if member is None:
        return _missing("RepoNotFound", f"There is no model {repo}.")
    try:
        volume = service.volumes.open(member)
    except (NotReady, SourceChanged) as error:
        # Any other status the client reports as a network that is down.
        return _missing("RepoNotFound", service.redact(f"{repo}: {error}"))
    if revision not in ("main", volume.revision, "refs/heads/main"):
        return _missing("RevisionNotFound", f"{repo} has no revision {revision}.")
    return volume


@router.head(_API, response_model=None, include_in_schema=False)
@router.get(_API, response_model=None)
async def info(ns: str, name: str, service: ServiceDep, blobs: bool = False) -> Response:
    """What `model_info` asks at no revision."""
    return await _info(service, f"{ns}/{name}", "main", blobs)


@router.head(_API + "/revision/{revision:path}", response_model=None, include_in_schema=False)
@router.get(_API + "/revision/{revision:path}", response_model=None)
async def info_at(
    ns: str, name: str, revision: str, service: ServiceDep, blobs: bool = False
) -> Response:
    """What `model_info` asks at a revision."""
    return await _info(service, f"{ns}/{name}", revision, blobs)


async def _info(service: Service, repo: str, revision: str, blobs: bool) -> Response:
    volume = await run_in_threadpool(_volume, service, repo, revision)
    if isinstance(volume, Response):
        return volume
    family = volume.family
    body = {
        "_id": volume.revision[:24],
        "id": repo,
        "modelId": repo,
        "sha": volume.revision,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": ["boomerang", "transformers", "safetensors"],
        "pipeline_tag": "text-generation",
        "library_name": "transformers",
        "siblings": [_sibling(volume, file, blobs) for file in sorted(volume.files)],
        "cardData": {"base_model": family.teacher, "license": family.license},
    }
    return JSONResponse(body, headers={"X-Repo-Commit": volume.revision})


def _sibling(volume: Volume, file: str, blobs: bool) -> dict[str, Any]:
    facts = {"size": volume.files[file].size, "blobId": volume.etag(file)}
    return {"rfilename": file, **(facts if blobs else {})}


@router.head(_API + "/tree/{rest:path}", response_model=None, include_in_schema=False)
@router.get(_API + "/tree/{rest:path}", response_model=None)
async def tree(ns: str, name: str, rest: str, service: ServiceDep) -> Response:
    """The files of a revision; members have no folders."""
    revision, _, path = rest.rstrip("/").partition("/")
    volume = await run_in_threadpool(_volume, service, f"{ns}/{name}", revision)
    if isinstance(volume, Response):
        return volume
    if path:
        headers = {"X-Repo-Commit": volume.revision}
        return _missing("EntryNotFound", f"There is no folder {path}.", headers)
    return JSONResponse([_entry(volume, file) for file in sorted(volume.files)])


@router.post(_API + "/paths-info/{revision:path}", response_model=None)
async def paths_info(
    ns: str, name: str, revision: str, request: Request, service: ServiceDep
) -> Response:
    """Facts about the named files."""
    asked = await _paths(request)
    volume = await run_in_threadpool(_volume, service, f"{ns}/{name}", revision)
    if isinstance(volume, Response):
        return volume
    return JSONResponse([_entry(volume, file) for file in asked if file in volume.files])


async def _paths(request: Request) -> list[str]:
    """The paths that are asked about: the client sends a form, others send JSON."""
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        paths = found.get("paths") if isinstance(found, dict) else None
    else:
        paths = parse_qs(body.decode("utf-8", "replace")).get("paths", [])
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise BadRequest("paths is no list of names.", fix='Send {"paths": ["config.json"]}.')
    return paths


def _entry(volume: Volume, file: str) -> dict[str, Any]:
    size = volume.files[file].size
    return {"type": "file", "path": file, "size": size, "oid": volume.etag(file)}


@router.head(
    "/{ns}/{name}/resolve/{revision}/{file:path}", response_model=None, include_in_schema=False
)
@router.get("/{ns}/{name}/resolve/{revision}/{file:path}", response_model=None)
async def resolve(
    ns: str, name: str, revision: str, file: str, request: Request, service: ServiceDep
) -> Response:
    """One file at a revision."""
    volume = await run_in_threadpool(_volume, service, f"{ns}/{name}", revision)
    if isinstance(volume, Response):
        return volume
    headers = {"X-Repo-Commit": volume.revision, "X-Linked-Size": ""}
    if file not in volume.files:
        commit = {"X-Repo-Commit": volume.revision}
        return _missing("EntryNotFound", f"{volume.repo_id} has no file {file}.", commit)
    headers["X-Linked-Size"] = str(volume.files[file].size)
    return await serve(request, volume.files[file], etag=volume.etag(file), headers=headers)
