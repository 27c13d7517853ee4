"""The Hub's reading interface: `HF_ENDPOINT=http://host` makes its client load members from here.

Routes and headers are those that huggingface_hub and transformers use; nothing can be written.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from app.deps import Service, ServiceDep
from app.library import Volume
from app.serving import serve

router = APIRouter(tags=["hub"])

_API = "/api/models/{ns}/{name}"


def _missing(code: str, what: str, headers: dict[str, str] | None = None) -> JSONResponse:
    shown = {"X-Error-Code": code, "X-Error-Message": what, **(headers or {})}
    return JSONResponse({"error": what}, 404, shown)


def _volume(service: Service, repo: str, revision: str) -> Volume | JSONResponse:
    found = service.library.by_repo(repo)
    if found is None:
        return _missing("RepoNotFound", f"There is no model {repo}.")
    volume = service.library.open(*found)
    if revision not in ("main", volume.revision, "refs/heads/main"):
        return _missing("RevisionNotFound", f"{repo} has no revision {revision}.")
    return volume


@router.api_route(_API, methods=["GET", "HEAD"], response_model=None)
async def info(ns: str, name: str, service: ServiceDep) -> Response:
    """What `model_info` asks at no revision."""
    return await _info(service, f"{ns}/{name}", "main")


@router.api_route(_API + "/revision/{revision:path}", methods=["GET", "HEAD"], response_model=None)
async def info_at(ns: str, name: str, revision: str, service: ServiceDep) -> Response:
    """What `model_info` asks at a revision."""
    return await _info(service, f"{ns}/{name}", revision)


async def _info(service: Service, repo: str, revision: str) -> Response:
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
        "siblings": [{"rfilename": file} for file in sorted(volume.files)],
        "cardData": {"base_model": family.teacher, "license": family.license},
    }
    return JSONResponse(body, headers={"X-Repo-Commit": volume.revision})


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
    asked = (await request.json()).get("paths", [])
    volume = await run_in_threadpool(_volume, service, f"{ns}/{name}", revision)
    if isinstance(volume, Response):
        return volume
    return JSONResponse([_entry(volume, file) for file in asked if file in volume.files])


def _entry(volume: Volume, file: str) -> dict[str, Any]:
    size = volume.files[file].size
    return {"type": "file", "path": file, "size": size, "oid": volume.etag(file)}


@router.api_route(
    "/{ns}/{name}/resolve/{revision}/{file:path}", methods=["GET", "HEAD"], response_model=None
)
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
