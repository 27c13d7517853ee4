"""The routes of the test Hub: what huggingface_hub 2 calls."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from tests.local_hub.accounts import ACCOUNTS, writes
from tests.local_hub.faults import Layer
from tests.local_hub.repos import Blob, HubError, Repo, Store, is_large
from tests.local_hub.transfers import XetStore, lfs_routes

MODEL = "/api/models/{owner}/{name}"


def bearer(request: Request) -> str | None:
    """The token of a request."""
    value = request.headers.get("authorization", "")
    token = value.removeprefix("Bearer ") if value else None
    if token is not None and token not in ACCOUNTS:
        message = "Invalid credentials in Authorization header"
        raise HubError(401, "", message, headers={"X-Error-Message": message})
    return token


def build(store: Store) -> Layer:
    """The whole Hub as an ASGI application."""
    app = FastAPI()
    xet = XetStore(store)

    def find(request: Request, owner: str, name: str, write: bool = False) -> Repo:
        token = bearer(request)
        repo = store.find(f"{owner}/{name}", token)
        if write and not writes(token, owner):
            raise HubError(403, "", "You don't have the rights to write")
        return repo

    @app.exception_handler(HubError)
    async def refused(request: Request, error: HubError) -> Response:
        headers = {"X-Error-Code": error.code, "X-Error-Message": error.message, **error.headers}
        content = {"error": error.message, **error.extra}
        return JSONResponse(content, error.status, {k: v for k, v in headers.items() if v})

    _account(app, store)
    _collections(app, store)
    _reading(app, store, find)
    _writing(app, store, xet, find)
    app.include_router(lfs_routes(store, find))
    _files(app, store, find)
    return Layer(app)


Find = Callable[..., Repo]


def _account(app: FastAPI, store: Store) -> None:
    @app.get("/api/whoami-v2")
    def whoami(request: Request) -> dict[str, Any]:
        token = bearer(request)
        if token is None:
            raise HubError(401, "", "Invalid username or password.")
        return ACCOUNTS[token].whoami()

    @app.post("/api/validate-yaml")
    async def validate(request: Request) -> Response:
        text = (await request.json())["content"]
        parts = text.split("---\n", 2)
        try:
            metadata = yaml.safe_load(parts[1]) if len(parts) == 3 else None
        except yaml.YAMLError as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        warnings = [] if metadata else [{"message": "empty or missing yaml metadata"}]
        return JSONResponse({"errors": [], "warnings": warnings})

    @app.post("/api/repos/create")
    async def create(request: Request) -> dict[str, Any]:
        token = bearer(request)
        if token is None:
            raise HubError(401, "", "You need to be authenticated")
        asked = await request.json()
        owner = asked.get("organization") or ACCOUNTS[token].name
        if not writes(token, owner):
            raise HubError(403, "", f"You don't have the rights to create a model under {owner}")
        id = f"{owner}/{asked['name']}"
        url = f"{str(request.base_url).rstrip('/')}/{id}"
        if id in store.repos:
            raise HubError(409, "", "You already created this model repo", url=url)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        store.create(id, private)
        return {"url": url, "name": id, "id": id}


def _collections(app: FastAPI, store: Store) -> None:
    @app.post("/api/collections")
    async def create(request: Request) -> dict[str, Any]:
        asked = await request.json()
        slug = f"{asked['namespace']}/{asked['title'].lower().replace(' ', '-')}-{'0' * 24}"
        if slug in store.collections:
            raise HubError(409, "", "the collection exists", slug=slug)
        store.collections[slug] = made = {
            "slug": slug, "title": asked["title"], "owner": {"name": asked["namespace"]},
            "items": [], "lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0,
            "private": asked.get("private", False), "theme": "green", "upvotes": 0,
        }  # fmt: skip
        return made

    def at(owner: str, slug: str) -> dict[str, Any]:
        if f"{owner}/{slug}" not in store.collections:
            raise HubError(404, "", "no such collection")
        return store.collections[f"{owner}/{slug}"]

    @app.get("/api/collections/{owner}/{slug}")
    def get(owner: str, slug: str) -> dict[str, Any]:
        return at(owner, slug)

    @app.post("/api/collections/{owner}/{slug}/items")
    async def add(owner: str, slug: str, request: Request) -> dict[str, Any]:
        collection = at(owner, slug)
        item = (await request.json())["item"]
        if any(old["id"] == item["id"] for old in collection["items"]):
            raise HubError(409, "", "already in the collection")
        count = len(collection["items"])
        collection["items"].append({"_id": f"{count:024}", "position": count, **item})
        return collection


def _reading(app: FastAPI, store: Store, find: Find) -> None:
    @app.get(MODEL)
    def info(owner: str, name: str, request: Request, blobs: bool = False) -> dict[str, Any]:
        return store.describe(find(request, owner, name), "main", blobs)

    @app.get(MODEL + "/revision/{revision}")
    def at_revision(
        owner: str, name: str, revision: str, request: Request, blobs: bool = False
    ) -> dict[str, Any]:
        return store.describe(find(request, owner, name), unquote(revision), blobs)

    @app.get("/api/datasets/{owner}/{name}")
    @app.get("/api/datasets/{owner}/{name}/revision/{revision}")
    def dataset(owner: str, name: str, request: Request, revision: str = "main") -> dict[str, Any]:
        # A dataset is a repository whose id begins so; it has no other routes here.
        repo = find(request, f"datasets/{owner}", name)
        described = store.describe(repo, unquote(revision), True)
        return {**described, "id": f"{owner}/{name}"}

    @app.get(MODEL + "/refs")
    def refs(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name)

        def listed(kind: str, found: dict[str, str]) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid}
                for name, oid in found.items()
            ]

        tags, branches = listed("tags", repo.tags), listed("heads", repo.branches)
        return {"branches": branches, "tags": tags, "converts": []}

    @app.get(MODEL + "/commits/{revision}")
    def commits(owner: str, name: str, revision: str, request: Request) -> list[dict[str, Any]]:
        return [
            {"id": c.oid, "title": c.title, "message": "", "date": c.date, "authors": []}
            for c in find(request, owner, name).history(unquote(revision))
        ]

    @app.get(MODEL + "/tree/{revision}")
    @app.get(MODEL + "/tree/{revision}/{folder:path}")
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

    @app.post(MODEL + "/paths-info/{revision}")
    async def paths_info(
        owner: str, name: str, revision: str, request: Request
    ) -> list[dict[str, Any]]:
        files = find(request, owner, name).at(unquote(revision)).files
        paths = parse_qs((await request.body()).decode()).get("paths", [])
        return [files[path].entry(path) for path in paths if path in files]


def _writing(app: FastAPI, store: Store, xet: XetStore, find: Find) -> None:
    @app.put(MODEL + "/settings")
    async def settings(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        asked = await request.json()
        private = asked.get("private", repo.private)
        if "visibility" in asked:
            private = asked["visibility"] == "private"
        repo.show(private, asked.get("gated", repo.gated))
        return {}

    @app.post(MODEL + "/preupload/{revision}")
    async def preupload(owner: str, name: str, revision: str, request: Request) -> dict[str, Any]:
        files = find(request, owner, name, write=True).at(unquote(revision)).files
        answers = []
        for asked in (await request.json())["files"]:
            path = asked["path"]
            mode = "lfs" if is_large(path, asked["size"]) else "regular"
            answer = {"path": path, "uploadMode": mode, "shouldIgnore": False}
            if path in files:
                answer["oid"] = files[path].etag
            answers.append(answer)
        return {"files": answers}

    @app.get(MODEL + "/xet-{kind}-token/{revision}")
    def token(owner: str, name: str, kind: str, revision: str, request: Request) -> Response:
        repo = find(request, owner, name, write=kind == "write")
        commit = repo.at(unquote(revision))
        made = xet.write_token() if kind == "write" else xet.read_token(commit)
        headers = {
            "X-Xet-Cas-Url": made["casUrl"],
            "X-Xet-Access-Token": made["accessToken"],
            "X-Xet-Token-Expiration": str(made["exp"]),
        }
        return JSONResponse(made, headers=headers)

    @app.post(MODEL + "/commit/{revision}")
    async def commit(owner: str, name: str, revision: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        branch = unquote(revision)
        lines = [json.loads(line) for line in (await request.body()).splitlines() if line]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.at(branch).oid):
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(repo.at(branch).files)
        for line in lines[1:]:
            _apply(files, store, xet, line["key"], line["value"])
        made = repo.commit(branch, header["summary"], files)
        url = f"{str(request.base_url).rstrip('/')}/{repo.id}/commit/{made.oid}"
        return {"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""}

    @app.post(MODEL + "/tag/{revision}")
    async def tag(owner: str, name: str, revision: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        wanted = (await request.json())["tag"]
        if wanted in repo.tags:
            raise HubError(409, "", f"Tag {wanted} already exists")
        repo.tags[wanted] = repo.at(unquote(revision)).oid
        return {}

    @app.post(MODEL + "/branch/{branch}")
    async def branch(owner: str, name: str, branch: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        if unquote(branch) in repo.branches:
            raise HubError(409, "", f"Branch {branch} already exists")
        start = (await request.json()).get("startingPoint", "main")
        repo.branches[unquote(branch)] = repo.at(start).oid
        return {}

    @app.post("/api/{kind}/{owner}/{name}/lfs-files/duplicate")
    async def duplicate(owner: str, name: str, request: Request) -> dict[str, Any]:
        # Contents are shared by all repositories here: there is nothing to copy.
        find(request, owner, name, write=True)
        return {"success": True, "failed": []}


def _apply(files: dict[str, Blob], store: Store, xet: XetStore, key: str, value: Any) -> None:
    path = value["path"]
    if key == "file":
        files[path] = store.blob(base64.b64decode(value["content"]))
    elif key == "lfsFile":
        files[path] = store.pointer(value["oid"], xet.take(value["oid"]))
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
    elif key == "deletedFolder":
        for inside in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
            del files[inside]
    else:
        raise HubError(400, "", f"unknown operation {key}")


def _files(app: FastAPI, store: Store, find: Find) -> None:
    @app.api_route("/cdn/{sha256}", methods=["GET", "HEAD"])
    def cdn(sha256: str) -> Response:
        return FileResponse(store.path(sha256), headers={"ETag": f'"{sha256}"'})

    @app.get("/datasets/{owner}/{name}/resolve/{revision}/{path:path}")
    def of_dataset(owner: str, name: str, revision: str, path: str, request: Request) -> Response:
        return resolve(f"datasets/{owner}", name, revision, path, request)

    @app.api_route("/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
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
