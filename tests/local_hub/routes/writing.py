"""What changes a repository: settings, commits, tags, branches, and copies between repositories."""

import base64
import json
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from tests.local_hub.repos import Blob, HubError, Repo, is_large
from tests.local_hub.routes.cards import check
from tests.local_hub.routes.reading import MODEL, Find
from tests.local_hub.routes.xet import XetStore
from tests.local_hub.store import Store


def writing_routes(store: Store, xet: XetStore, find: Find) -> APIRouter:
    routes = APIRouter()

    @routes.put(MODEL + "/settings")
    async def settings(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        asked = await request.json()
        private, gated = repo.private, asked.get("gated", repo.gated)
        if "visibility" in asked or "private" in asked:
            private = asked.get("private", asked.get("visibility") == "private")
        if gated not in (False, True, "auto", "manual"):
            raise HubError(400, "", f"gated cannot be {gated}")
        repo.show(private, gated)
        store.save(repo)
        return {}

    @routes.post(MODEL + "/preupload/{revision}")
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

    @routes.post(MODEL + "/commit/{revision}")
    async def commit(owner: str, name: str, revision: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        branch = unquote(revision)
        lines = [json.loads(line) for line in (await request.body()).splitlines() if line]
        header = lines[0]["value"]
        for line in lines[1:]:
            if line["key"] == "lfsFile" and line["value"]["oid"] in repo.objects:
                await run_in_threadpool(xet.take, line["value"]["oid"])
        if header.get("parentCommit") not in (None, repo.at(branch).oid):
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(repo.at(branch).files)
        for line in lines[1:]:
            _apply(files, repo, store, xet, line["key"], line["value"])
        made = repo.commit(branch, header["summary"], files)
        store.save(repo)
        url = f"{str(request.base_url).rstrip('/')}/{repo.id}/commit/{made.oid}"
        return {"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""}

    @routes.post(MODEL + "/tag/{revision}")
    async def tag(owner: str, name: str, revision: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        wanted = (await request.json())["tag"]
        if wanted in repo.tags:
            raise HubError(409, "", f"Tag {wanted} already exists")
        repo.tags[wanted] = repo.at(unquote(revision)).oid
        store.save(repo)
        return {}

    @routes.post(MODEL + "/branch/{branch}")
    async def branch(owner: str, name: str, branch: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        if unquote(branch) in repo.branches:
            raise HubError(409, "", f"Branch {branch} already exists")
        start = (await request.json()).get("startingPoint", "main")
        repo.branches[unquote(branch)] = repo.at(start).oid
        store.save(repo)
        return {}

    @routes.delete(MODEL + "/{kind}/{ref}")
    def remove(owner: str, name: str, kind: str, ref: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        refs = {"branch": repo.branches, "tag": repo.tags}.get(kind, {})
        if unquote(ref) not in refs:
            raise HubError(404, "RevisionNotFound", f"no {kind} {ref}")
        del refs[unquote(ref)]
        store.save(repo)
        return {}

    @routes.post(MODEL + "/lfs-files/duplicate")
    async def duplicate(owner: str, name: str, request: Request) -> dict[str, Any]:
        source, asked = find(request, owner, name), await request.json()
        target = find(request, *asked["target"]["name"].split("/"), write=True)
        failed = []
        for one in asked["files"]:
            found = [
                b for b in source.blobs() if (b.sha256, b.xet) == (one["sha256"], one["xetHash"])
            ]
            if not found:
                failed.append({"sha256": one["sha256"], "error": "no such file in the source"})
                continue
            target.objects.add(one["sha256"])
            store.traffic.add(target.id, "copied", one["sha256"], found[0].size)
        store.save(target)
        return {"success": not failed, "failed": failed}

    return routes


def _apply(
    files: dict[str, Blob], repo: Repo, store: Store, xet: XetStore, key: str, value: Any
) -> None:
    path = value["path"]
    if key == "file":
        data = base64.b64decode(value["content"])
        check(path, data)
        made = store.blob(data)
        again = len(data) if files.get(path) == made else 0
        store.traffic.add(repo.id, "regular", path, len(data), again)
        files[path] = made
    elif key == "lfsFile":
        if value["oid"] not in repo.objects and not repo.committed(value["oid"]):
            raise HubError(400, "", f"LFS pointer to an object that is not here: {value['oid']}")
        files[path] = store.pointer(value["oid"], xet.committed(value["oid"]))
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise HubError(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
    elif key == "deletedFolder":
        for inside in [name for name in files if name.startswith(path.rstrip("/") + "/")]:
            del files[inside]
    else:
        raise HubError(400, "", f"unknown operation {key}")
