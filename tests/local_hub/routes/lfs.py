"""The LFS batch API with basic and multipart uploads, and the storage behind it.

Bodies go to disk as they come. What arrived in one repository is not known in another.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from tests.local_hub.repos import HubError, Repo
from tests.local_hub.routes.reading import Find
from tests.local_hub.store import Store

PART_BYTES = 200_000
"""Objects above this size are sent in parts of this size, but never in more than fifty."""
READ = 1 << 20


def lfs_routes(store: Store, find: Find) -> APIRouter:
    routes = APIRouter()
    parts: dict[tuple[str, str, int], Path] = {}

    @routes.post("/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(owner: str, name: str, request: Request) -> dict[str, Any]:
        repo = find(request, owner, name, write=True)
        root = str(request.base_url).rstrip("/")
        objects = []
        for item in (await request.json())["objects"]:
            sha256, size = item["oid"], item["size"]
            answer: dict[str, Any] = {"oid": sha256, "size": size}
            if sha256 not in repo.objects and not repo.committed(sha256):
                upload: dict[str, Any] = {"href": f"{root}/storage/{sha256}?repo={repo.id}"}
                if size > PART_BYTES:
                    part = max(PART_BYTES, -(-size // 50))
                    upload["href"] = f"{root}/storage/{sha256}/complete?repo={repo.id}"
                    upload["header"] = {"chunk_size": str(part)} | {
                        f"{n:05}": f"{root}/storage/{sha256}/{n}?repo={repo.id}"
                        for n in range(1, -(-size // part) + 1)
                    }
                verify = {"href": f"{root}/{repo.id}.git/info/lfs/objects/verify"}
                answer["actions"] = {"upload": upload, "verify": verify}
            objects.append(answer)
        return {"transfer": "basic", "objects": objects}

    @routes.post("/{owner}/{name}.git/info/lfs/objects/verify")
    async def verify(request: Request) -> dict[str, Any]:
        item = await request.json()
        path = store.path(item["oid"])
        if not path.is_file() or path.stat().st_size != item["size"]:
            raise HubError(404, "EntryNotFound", "the object did not arrive")
        return {}

    async def receive(repo: Repo, sha256: str, request: Request) -> tuple[Path, str]:
        """The file that a body went to, and its md5; a body that breaks off is counted too."""
        arrived, size, digest = store.arriving(), 0, hashlib.md5()
        try:
            with open(arrived, "wb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    digest.update(chunk)
                    file.write(chunk)
        finally:
            again = size if repo.committed(sha256) else 0
            store.traffic.add(repo.id, "lfs", sha256, size, again)
        return arrived, digest.hexdigest()

    async def keep(repo: Repo, sha256: str, arrived: list[Path]) -> Response:
        await run_in_threadpool(store.keep, _read(arrived), sha256)
        repo.objects.add(sha256)
        store.save(repo)
        return Response()

    @routes.put("/storage/{sha256}")
    async def whole(sha256: str, repo: str, request: Request) -> Response:
        arrived, _ = await receive(store.repos[repo], sha256, request)
        return await keep(store.repos[repo], sha256, [arrived])

    @routes.put("/storage/{sha256}/{number}")
    async def part(sha256: str, number: int, repo: str, request: Request) -> Response:
        arrived, md5 = await receive(store.repos[repo], sha256, request)
        parts[repo, sha256, number] = arrived
        return Response(headers={"ETag": f'"{md5}"'})

    @routes.post("/storage/{sha256}/complete")
    async def complete(sha256: str, repo: str, request: Request) -> Response:
        listed = sorted(part["partNumber"] for part in (await request.json())["parts"])
        arrived = [parts.pop((repo, sha256, number)) for number in listed]
        return await keep(store.repos[repo], sha256, arrived)

    return routes


def _read(paths: list[Path]) -> Iterator[bytes]:
    """The bytes of some files, each of which is removed when it was read."""
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(READ):
                yield chunk
        path.unlink()
