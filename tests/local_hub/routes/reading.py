"""What a repository holds: its description, its tree, its history, and the files themselves."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from tests.local_hub.accounts import writes
from tests.local_hub.repos import HubError, Repo
from tests.local_hub.store import Store

MODEL = "/api/models/{owner}/{name}"
Find = Callable[..., Repo]


def reading_routes(store: Store, find: Find, bearer: Callable[[Request], str | None]) -> APIRouter:
    routes = APIRouter()

    @routes.get("/api/models")
    def models(
        request: Request, search: str = "", filter: str = "", limit: int = 1000
    ) -> list[dict[str, Any]]:
        return store.listed(bearer(request), search, filter, limit)

    @routes.get(MODEL)
    def info(owner: str, name: str, request: Request, blobs: bool = False) -> dict[str, Any]:
        return store.describe(find(request, owner, name), "main", blobs)

    @routes.get(MODEL + "/revision/{revision}")
    def at_revision(
        owner: str, name: str, revision: str, request: Request, blobs: bool = False
    ) -> dict[str, Any]:
        return store.describe(find(request, owner, name), unquote(revision), blobs)

    @routes.get("/api/datasets/{owner}/{name}")
    @routes.get("/api/datasets/{owner}/{name}/revision/{revision}")
    def dataset(owner: str, name: str, request: Request, revision: str = "main") -> dict[str, Any]:
        # A dataset is a repository whose id begins so; it has no other routes here.
        repo = find(request, f"datasets/{owner}", name)
        described = store.describe(repo, unquote(revision), True)
        return {**described, "id": f"{owner}/{name}"}

    @routes.get(MODEL + "/refs")
    def refs(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name)

        def listed(kind: str, found: dict[str, str]) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid}
                for name, oid in found.items()
            ]

        tags, branches = listed("tags", repo.tags), listed("heads", repo.branches)
        return {"branches": branches, "tags": tags, "converts": []}

    @routes.get(MODEL + "/commits/{revision}")
    def commits(owner: str, name: str, revision: str, request: Request) -> list[dict[str, Any]]:
        return [
            {"id": c.oid, "title": c.title, "message": "", "date": c.date, "authors": []}
            for c in find(request, owner, name).history(unquote(revision))
        ]

    @routes.get(MODEL + "/tree/{revision}")
    @routes.get(MODEL + "/tree/{revision}/{folder:path}")
    def tree(
        owner: str,
        name: str,
        revision: str,
        request: Request,
        folder: str = "",
        recursive: bool = False,
    ) -> list[dict[str, Any]]:
        commit = find(request, owner, name).at(unquote(revision))
        under = folder.strip("/") + "/" if folder.strip("/") else ""
        found: dict[str, dict[str, Any]] = {}
        for path, blob in commit.files.items():
            if path.startswith(under):
                inner = path[len(under) :].split("/")
                for depth in range(1, len(inner) if recursive else min(len(inner), 2)):
                    parent = under + "/".join(inner[:depth])
                    found[parent] = {"type": "directory", "path": parent, "oid": "0" * 40}
                if recursive or len(inner) == 1:
                    found[path] = blob.entry(path)
        if under and not found:
            head = {"X-Repo-Commit": commit.oid}
            raise HubError(404, "EntryNotFound", f"{folder} does not exist", headers=head)
        return list(found.values())

    @routes.post(MODEL + "/paths-info/{revision}")
    async def paths_info(
        owner: str, name: str, revision: str, request: Request
    ) -> list[dict[str, Any]]:
        files = find(request, owner, name).at(unquote(revision)).files
        paths = parse_qs((await request.body()).decode()).get("paths", [])
        return [files[path].entry(path) for path in paths if path in files]

    return routes


def file_routes(store: Store, find: Find, bearer: Callable[[Request], str | None]) -> APIRouter:
    """To be added last: these addresses could be nearly anything."""
    routes = APIRouter()

    @routes.api_route("/cdn/{sha256}", methods=["GET", "HEAD"])
    def cdn(sha256: str) -> Response:
        return FileResponse(store.path(sha256), headers={"ETag": f'"{sha256}"'})

    @routes.get("/datasets/{owner}/{name}/resolve/{revision}/{path:path}")
    def of_dataset(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve(f"datasets/{owner}", name, revision, path, request)

    @routes.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    def resolve(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        repo = find(request, owner, name)
        if repo.gated and not writes(token := bearer(request), owner):
            status = 401 if token is None else 403
            raise HubError(status, "GatedRepo", f"Access to model {repo.id} is restricted")
        commit, blob = repo.file(unquote(revision), path)
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{blob.etag}"'}
        if not blob.lfs:
            return FileResponse(store.path(blob.sha256), headers=headers)
        # Large files lie on another host, as on the Hub: no token may follow there.
        root, port = str(request.base_url).rstrip("/"), request.url.port
        if blob.xet:
            route = f"{root}/api/models/{repo.id}/xet-read-token/{commit.oid}"
            headers |= {"X-Xet-Hash": blob.xet, "X-Xet-Refresh-Route": route}
        headers |= {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(blob.size)}
        headers["Location"] = f"http://localhost:{port}/cdn/{blob.sha256}?t={int(time.time())}"
        return Response(status_code=302, headers=headers)

    return routes
